package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// process is a part of the operator that runs by itself.
type process struct{ name, log string }

// start runs a real binary as a process of its own, and has it stopped when the
// stage is cleared.
func (s *stage) start(name, binary string, flags ...string) error {
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("there is no %s; run \"make build\"", binary)
	}
	p := process{name, filepath.Join(s.dir, name+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return fmt.Errorf("making the log: %w", err)
	}
	s.processes = append(s.processes, p)
	args := append([]string{"--kubeconfig=" + s.kubeconfig, "--namespace=" + operatorNamespace, "--log-format=console"}, flags...)
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us; we stop it in order
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting the %s: %w", name, err), log.Close())
	}
	ended := make(chan error, 1)
	go func() {
		ended <- errors.Join(cmd.Wait(), log.Close())
		s.ended(name)
	}()
	s.later(func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
			return errors.Join(err, <-ended)
		}
		return nil
	})
	s.quote(strings.Join(cmd.Args, " "))
	return nil
}

// logLines is how much of each log a failure shows.
const logLines = 20

// showLogs shows the end of what the processes logged.
func (s *stage) showLogs() {
	for _, p := range s.processes {
		text, err := os.ReadFile(p.log)
		if err != nil {
			s.say("The log of the %s cannot be read: %v", p.name, err)
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		s.say("The end of the %s's log:\n", p.name)
		s.quote(strings.Join(lines[max(0, len(lines)-logLines):], "\n"))
	}
}
