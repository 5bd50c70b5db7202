// Package ledger appends audit records in one total order per namespace. The
// append is the claim: to append batch n+1 is to create the object of that
// name, and the API server lets exactly one writer have it. So there are no
// locks, leases or clocks in what makes it right. While one create is under way
// the next batch collects.
//
// It knows nothing of MFA: the caller gives a fold, which says what records
// mean. Where to look:
//
//	ledgers.go   what callers use; ledgers open on demand and close when idle
//	settle.go    the order of one batch: judge, claim, apply, answer
//	protocol.go  the claim itself and the opening, as pure steps
//	ledger.go    one ledger: where it ends, what is known of it
//	follow.go    how a replica hears of other writers
//	keep.go      checkpoints and retention, for the one that leads
//	store.go     what is asked of the API server; kube.go asks it
package ledger
