package verify

import (
	"fmt"

	"github.com/prometheus/procfs"
)

// costs are the seconds of a processor that this process and those it has started
// have taken so far, by name. This one is callers.
type costs map[string]float64

const (
	callersProcess = "callers"
	webhookProcess = "webhook"
)

func costsSoFar() (costs, error) {
	self, err := procfs.Self()
	if err != nil {
		return nil, fmt.Errorf("looking at this process: %w", err)
	}
	own, err := self.Stat()
	if err != nil {
		return nil, fmt.Errorf("looking at this process: %w", err)
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	sum := costs{callersProcess: own.CPUTime()}
	for _, p := range all {
		stat, err := p.Stat()
		switch {
		case err != nil || stat.PPID != own.PID: // it has ended meanwhile, or is another's
		case stat.Comm == own.Comm: // the replica runs in the program of the benchmark
			sum[webhookProcess] += stat.CPUTime()
		default:
			sum[stat.Comm] += stat.CPUTime()
		}
	}
	return sum, nil
}

// since is what was taken since then, in milliseconds for each of n things.
func (c costs) since(then costs, n int) costs {
	each := costs{}
	for name, seconds := range c {
		each[name] = (seconds - then[name]) * 1000 / float64(n)
	}
	return each
}
