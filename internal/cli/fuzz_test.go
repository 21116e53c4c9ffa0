package cli

import (
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// FuzzRollbackState: a state that is accepted has nothing that no image is looked
// up by, and no number that none could have.
func FuzzRollbackState(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `{"ghcr.io/acme/app:1.4": 41}`, `{"ghcr.io/acme/app:1.4": 41, "ghcr.io/acme/app:1.4": 1}`, `{"ghcr.io/acme/app:1.4": 1e400}`,
		`{"app:1": 1}`, `{"GHCR.io/acme/app:1": 1}`, `{"index.docker.io/library/app:1": 1}`, `{"ghcr.io/acme/app": 1}`, `{} {}`, `{"ghcr.io/acme/app:1": -1}`, `{"ghcr.io/acme/app:1": null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		state, err := parseFloors("state.json", text)
		if err != nil && (state != nil || fault.OutcomeOf(err) != fault.Config) {
			t.Errorf("%q: %v beside %v", text, state, err)
		}
		for name, n := range state {
			img, err := image.Parse(name)
			if err != nil || n < 0 || floorName(image.Subject{Repository: img.Repository}, img.Tags[0]) != name {
				t.Errorf("%q: %q has %d", text, name, n)
			}
		}
	})
}
