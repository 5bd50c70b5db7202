// Package mfareset carries out one administrative act, once: it removes factors
// of a person and ends their sessions. Every step is in the status before the next
// one begins, so that whoever goes on after a crash neither repeats nor forgets.
package mfareset
