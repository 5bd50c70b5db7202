//go:build !linux

package ledger

import "time"

var started = time.Now().Round(0) // without the monotonic reading

// bootTime is made of the wall clock, which goes on while the machine is
// suspended. That is enough to develop on; what runs in a cluster is Linux.
func bootTime() instant { return instant(time.Now().Round(0).Sub(started)) }
