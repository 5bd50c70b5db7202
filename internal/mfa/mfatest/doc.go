// Package mfatest holds what tests of local verification need: a ledger, a
// vault, keys and a courier that live in memory and behave, and a software
// authenticator with a knob for each field.
package mfatest
