package verify

import (
	"runtime"
	"testing"

	"github.com/neosc/mfa-operator/test/bench/load"
)

// costs are the seconds of a processor that this process and those it has started
// have taken so far, by name. This one is callers.
type costs map[string]float64

const (
	callersProcess = "callers"
	webhookProcess = "webhook"
)

// costsSoFar is empty where there is no /proc.
func costsSoFar(b *testing.B) costs {
	sum := costs{}
	if runtime.GOOS != "linux" {
		return sum
	}
	own, started := load.Processes(b)
	sum[callersProcess] = own.CPUTime()
	for _, p := range started {
		name := p.Comm
		if name == own.Comm { // the replica runs in the program of the benchmark
			name = webhookProcess
		}
		sum[name] += p.CPUTime()
	}
	return sum
}

// since is what was taken since then, in milliseconds for each of n things.
func (c costs) since(then costs, n int) costs {
	each := costs{}
	for name, seconds := range c {
		each[name] = (seconds - then[name]) * 1000 / float64(n)
	}
	return each
}
