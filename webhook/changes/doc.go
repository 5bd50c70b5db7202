// Package changes has the ledger say who changed which field of a policy or a
// user, and from what to what. Only an admission request says who; only the cache
// says that the change was stored, and not refused by somebody else. So the witness
// remembers what was let through until it sees it stored, and answers no request
// later for it.
package changes
