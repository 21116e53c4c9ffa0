package gate_test

import (
	"testing"

	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
)

// TestAnnotatedBaseIsOne: annotations in other case, or given twice, name no base
// image beside the one that other readers see.
func TestAnnotatedBaseIsOne(t *testing.T) {
	digest := image.DigestOf([]byte("base"))
	annotations := func(name string) string {
		return `{"org.opencontainers.image.base.name":"` + name + `","org.opencontainers.image.base.digest":"` + digest + `"}`
	}
	for text, want := range map[string]string{
		`{"annotations":` + annotations("ghcr.io/acme/good:1") + `}`:                                                          "ghcr.io/acme/good",
		`{"annotations":` + annotations("ghcr.io/acme/evil:1") + `,"Annotations":` + annotations("ghcr.io/acme/good:1") + `}`: "ghcr.io/acme/evil",
		`{"annotations":` + annotations("ghcr.io/acme/evil:1") + `,"annotations":` + annotations("ghcr.io/acme/good:1") + `}`: "",
		`{"annotations":` + annotations("ghcr.io/acme/good:1@sha256:1") + `}`:                                                 "",
		`{"ANNOTATIONS":` + annotations("ghcr.io/acme/good:1") + `}`:                                                          "",
	} {
		if b, _ := gate.AnnotatedBase([]byte(text)); b.Repository != want {
			t.Errorf("%s: %+v, want %q", text, b, want)
		}
	}
}
