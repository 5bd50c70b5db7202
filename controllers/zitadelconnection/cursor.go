package zitadelconnection

import (
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/neosc/mfa-operator/api/v1alpha1"
	"github.com/neosc/mfa-operator/internal/idp"
)

// cursorOf reads the cursor into the log of an instance. It reports false if
// the status has none, one into another log, or one that cannot be read.
func cursorOf(status *v1alpha1.EventsStatus, instance string) (idp.Cursor, bool) {
	if status == nil || status.Instance != instance || status.From == nil {
		return idp.Cursor{}, false
	}
	cursor := idp.Cursor{From: status.From.UTC()}
	for _, text := range status.Seen {
		key, err := parseKey(text)
		if err != nil {
			return idp.Cursor{}, false
		}
		cursor.Seen = append(cursor.Seen, key)
	}
	return cursor, true
}

// storeCursor writes the cursor where cursorOf finds it.
func storeCursor(status *v1alpha1.EventsStatus, instance string, cursor idp.Cursor) {
	status.Instance = instance
	status.From = &metav1.MicroTime{Time: cursor.From}
	status.Seen = nil
	for _, key := range cursor.Seen {
		status.Seen = append(status.Seen, formatKey(key))
	}
}

// formatKey renders a key. The id in the middle may have been chosen by a user
// and contain anything; what surrounds it has no slash.
func formatKey(k idp.EventKey) string {
	return fmt.Sprintf("%s/%s/%d", k.Aggregate.Type, k.Aggregate.ID, k.Sequence)
}

func parseKey(text string) (idp.EventKey, error) {
	kind, rest, _ := strings.Cut(text, "/")
	end := strings.LastIndexByte(rest, '/')
	if end < 0 {
		return idp.EventKey{}, fmt.Errorf("reading the key of an event: %q is none", text)
	}
	sequence, err := strconv.ParseUint(rest[end+1:], 10, 64)
	if err != nil {
		return idp.EventKey{}, fmt.Errorf("reading the key of an event: %w", err)
	}
	return idp.EventKey{Aggregate: idp.Aggregate{Type: kind, ID: rest[:end]}, Sequence: sequence}, nil
}
