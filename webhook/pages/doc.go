// Package pages is the browser's door: the page that a one-time link of a help
// desk opens, and what that page asks. With the link somebody enrols one factor and
// gets recovery codes; nobody signs in here.
//
// The link carries its token behind a "#", where no browser sends it: it is in no
// request line, no Referer and no log on the way, and whoever fetches the link to
// look at it, such as a mail filter, has not used it up. The page takes it out of
// the address, keeps it in memory and shows it as credential with each request
// (docs/adr/0019-a-link-behind-a-hash.md).
//
// It knows no ledger and no Secret. The rules are in internal/mfa.
package pages
