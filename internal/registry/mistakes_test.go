package registry

import (
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
)

// TestMistakes: what is denied names the credentials that were used and what
// usually is wrong at that registry.
func TestMistakes(t *testing.T) {
	c := New(Options{Source: func(string) string { return "github-token" }})
	for _, tc := range []struct {
		repository string
		push       bool
		next       string
	}{
		{"ghcr.io/acme/app", true, "packages: write"},
		{"ghcr.io/acme/app", false, "packages: read"},
		{"111122223333.dkr.ecr.eu-west-1.amazonaws.com/app", true, "ecr:PutImage"},
		{"acme.azurecr.io/app", true, "AcrPush"},
		{"europe-docker.pkg.dev/p/r/app", true, "roles/artifactregistry.writer"},
		{"docker.io/acme/app", true, "Read & Write"},
		{"registry.example.com/app", true, "log in before this step"},
		{"notghcr.io/app", true, "log in before this step"},
	} {
		for _, status := range []int{401, 403} {
			err := c.status(request{repository: tc.repository, push: tc.push}, status, []byte(`{"errors":[{"code":"DENIED","message":"secret"}]}`))
			text := err.Error()
			if err.Code != "registry_denied" || fault.OutcomeOf(err) != fault.Undecided ||
				!strings.Contains(text, tc.next) || !strings.Contains(text, "with credentials from github-token") || strings.Contains(text, "secret") {
				t.Errorf("%s %d: %v", tc.repository, status, err)
			}
		}
	}
}
