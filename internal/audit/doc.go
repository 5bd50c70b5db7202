// Package audit holds the words of who did what: the record and its
// vocabulary, the batch records are kept in, the hash chain over the batches
// and its verification, and what a fold is: the meaning somebody gives to the
// records of a ledger.
//
// It is pure. It knows no clock, no cluster and no HTTP.
package audit
