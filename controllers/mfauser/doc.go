// Package mfauser shows, for one person, whether MFA is on, with what, and under
// which policy: what Zitadel knows of them, and whether that is what the policies
// in force demand. It changes nobody's factors. It knows no protocol of Zitadel
// and no other kind's room.
package mfauser
