package admission

import (
	"fmt"
	"strings"
)

// Bounds of warnings. The API server cuts off those longer than 256 bytes, and
// all after 4 KiB.
const (
	maxWarning = 250
	maxOfKind  = 3
)

// notes collects warnings, a few of each kind and how many more there are.
type notes struct {
	lines []string
	seen  map[string]int
	more  []string // kinds of which there are more than are shown
}

// add adds a warning, of which only the first few of a kind are shown.
func (n *notes) add(kind, format string, args ...any) {
	if n.seen == nil {
		n.seen = map[string]int{}
	}
	if n.seen[kind]++; n.seen[kind] <= maxOfKind {
		n.lines = append(n.lines, shortened(fmt.Sprintf(format, args...)))
	} else if n.seen[kind] == maxOfKind+1 {
		n.more = append(n.more, kind)
	}
}

func (n *notes) list() []string {
	for _, kind := range n.more {
		n.lines = append(n.lines, fmt.Sprintf("and %d more warnings of this kind: %s", n.seen[kind]-maxOfKind, kind))
	}
	return n.lines
}

func shortened(text string) string {
	if len(text) <= maxWarning {
		return text
	}
	return strings.ToValidUTF8(text[:maxWarning-len("…")], "") + "…"
}

// wrapped joins parts to lines behind a head, as many as fit a warning.
func wrapped(head string, parts []string) []string {
	var lines []string
	for i, part := range parts {
		last := len(lines) - 1
		if i > 0 && len(lines[last])+len(", ")+len(part) <= maxWarning {
			lines[last] += ", " + part
			continue
		}
		lines = append(lines, head+part)
	}
	return lines
}
