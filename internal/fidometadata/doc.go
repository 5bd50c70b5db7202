// Package fidometadata reads the BLOB of the FIDO Metadata Service (MDS3) from a file:
// which makes of authenticators there are, which roots vouch for them, and which
// are not to be trusted any more. It fetches nothing: whoever runs the operator
// brings the file, and a newer one when there is one.
//
// A file counts if it is signed by the service and not older than the one before.
// When the time for its successor has passed it vouches for nobody, until that
// comes: what is required cannot be told any more.
package fidometadata
