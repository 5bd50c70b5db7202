package bench

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/neosc/mfa-operator/test/harness"
)

// managerProcess is a manager that runs as a process of its own.
type managerProcess struct {
	pid     int
	metrics string // host:port
}

// startManager builds the manager and runs it.
func startManager(b *testing.B, kubeconfig []byte) managerProcess {
	b.Helper()
	dir := b.TempDir()
	binary, config := filepath.Join(dir, "manager"), filepath.Join(dir, "kubeconfig")
	ok(b, os.WriteFile(config, kubeconfig, 0o600))
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "github.com/neosc/mfa-operator/cmd/manager").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	ok(b, err)
	address := free.Addr().String()
	ok(b, free.Close())
	cmd := exec.Command(binary, "--kubeconfig="+config, "--namespace="+harness.OperatorNamespace, "--leader-elect=false",
		"--log-level=error", "--health-probe-bind-address=0", "--metrics-bind-address="+address)
	cmd.Stderr = os.Stderr
	ok(b, cmd.Start())
	b.Cleanup(func() {
		ok(b, cmd.Process.Signal(syscall.SIGTERM))
		ok(b, cmd.Wait())
	})
	return managerProcess{cmd.Process.Pid, address}
}

// shows is what a counter or gauge of one controller says.
func (m managerProcess) shows(b *testing.B, name, label, controller string) float64 {
	b.Helper()
	all, err := harness.Scrape(b.Context(), m.metrics)
	ok(b, err)
	return all.Value(name, map[string]string{label: controller})
}

// cpu is the time that the process has computed.
func (m managerProcess) cpu(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.pid))
	ok(b, err)
	// After the name, which ends with the last parenthesis: utime and stime are the
	// 12th and 13th, in ticks of which Linux has 100 a second on every platform of Go.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(string(field))
		ok(b, err)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMiB is the most memory the process ever had.
func (m managerProcess) peakMiB(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.pid))
	ok(b, err)
	found := peak.FindSubmatch(status)
	if found == nil {
		b.Fatal("the kernel does not tell VmHWM")
	}
	kib, err := strconv.Atoi(string(found[1]))
	ok(b, err)
	return float64(kib) / 1024
}
