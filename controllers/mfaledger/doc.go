// Package mfaledger keeps audit ledgers within their bounds: checkpoints,
// retention, the sinks' progress, and what an administrator reads of it. It
// decides when that is done and what to say of it; how is the keeper's business.
package mfaledger
