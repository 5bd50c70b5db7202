package harness

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// ByThing parts a history by what its operations are about, for a model in which things
// do not concern each other.
func ByThing(thing func(input any) string) func([]porcupine.Operation) [][]porcupine.Operation {
	return func(history []porcupine.Operation) [][]porcupine.Operation {
		byThing := map[string][]porcupine.Operation{}
		for _, op := range history {
			of := thing(op.Input)
			byThing[of] = append(byThing[of], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byThing {
			parts = append(parts, part)
		}
		return parts
	}
}

// Linearizable fails the test if a history cannot have come one operation after the
// other, and leaves a picture of it.
func Linearizable(t *testing.T, sequential porcupine.NondeterministicModel, history []porcupine.Operation) {
	t.Helper()
	model, began := sequential.ToModel(), time.Now()
	result, info := porcupine.CheckOperationsVerbose(model, history, 3*time.Minute)
	t.Logf("%d operations checked in %s: %s", len(history), time.Since(began).Round(time.Millisecond), result)
	if result == porcupine.Ok {
		return
	}
	path := t.ArtifactDir() + "/history.html"
	if err := porcupine.VisualizePath(model, info, path); err != nil {
		t.Error(err)
	}
	t.Errorf("the history is not linearizable; see %s", path)
}
