package load

import (
	"testing"

	"github.com/prometheus/procfs"
)

// Processes returns this process and those it has started, as /proc shows them now.
func Processes(b *testing.B) (own procfs.ProcStat, started []procfs.ProcStat) {
	b.Helper()
	self, err := procfs.Self()
	if err != nil {
		b.Fatal(err)
	}
	if own, err = self.Stat(); err != nil {
		b.Fatal(err)
	}
	all, err := procfs.AllProcs()
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range all {
		// One that cannot be looked at has ended meanwhile.
		if stat, err := p.Stat(); err == nil && stat.PPID == own.PID {
			started = append(started, stat)
		}
	}
	return own, started
}
