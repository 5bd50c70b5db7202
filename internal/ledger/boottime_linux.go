package ledger

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime reads the clock that goes on while the machine is suspended. Go's
// own monotonic clock does not.
func bootTime() instant {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("reading CLOCK_BOOTTIME: " + err.Error()) // there since Linux 2.6.39
	}
	return instant(time.Duration(t.Nano()))
}
