// Package sink takes audit records out of the cluster: as lines of JSON, and as
// CloudEvents over HTTP. Both send whole batches in order, and with each record
// all that is needed to check the hash chain at the other end.
package sink
