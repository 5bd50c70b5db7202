// Package mfaexemption says of each MFAExemption whether it counts, for how many
// users, and when it has come to its end. Whether it counts is decided by
// internal/policy, for everybody; this room only tells.
package mfaexemption
