package docs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	strict "github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry"
)

// temp is for what the tests of this package build.
var temp string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "signgate-docs-")
	if err != nil {
		panic(err)
	}
	temp = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// TestJSON checks that the JSON blocks of the pages are JSON.
func TestJSON(t *testing.T) {
	for _, f := range fences(t, "json") {
		if !json.Valid([]byte(f.text)) {
			t.Errorf("%s:%d: this is not JSON", f.page, f.line)
		}
	}
}

// TestLimits compares the limits of docs/registries.md with the source.
func TestLimits(t *testing.T) {
	page := read(t, "docs/registries.md")
	for _, l := range []struct {
		what, unit string
		is, per    int
	}{
		{"a manifest or a list", " MiB", registry.MaxManifest, 1 << 20},
		{"the envelope of a signature", " MiB", envelope.MaxBlob, 1 << 20},
		{"the envelope of an attestation that a rule wants", " MiB", envelope.MaxAttestation, 1 << 20},
		{"a simple signing payload", " MiB", simplesigning.MaxPayload, 1 << 20},
		{"signatures that are read from one store of one manifest", "", registry.MaxCandidates, 1},
		{"manifests in an index", "", image.MaxChildren, 1},
		{"build metadata", " MiB", image.MaxMetadata, 1 << 20},
	} {
		if row := fmt.Sprintf("| %s | %d%s", l.what, l.is/l.per, l.unit); !strings.Contains(page, row) {
			t.Errorf("docs/registries.md lacks %q", row)
		}
	}
}

// TestClaimsExamples reads the two examples of docs/claims.md as the gate
// does, and with unknown members as errors.
func TestClaimsExamples(t *testing.T) {
	found := 0
	for _, f := range fences(t, "json") {
		if f.page != "docs/claims.md" {
			continue
		}
		var payload struct {
			Optional, Predicate map[string]json.RawMessage
		}
		if err := json.Unmarshal([]byte(f.text), &payload); err != nil {
			t.Errorf("line %d: %v", f.line, err)
			continue
		}
		claims := payload.Optional[envelope.ClaimsKey]
		if claims == nil {
			claims = payload.Predicate[envelope.ClaimsKey]
		}
		if _, err := envelope.ParseClaims(claims); err != nil {
			t.Errorf("line %d: %v", f.line, err)
		}
		if err := strict.Unmarshal(claims, new(envelope.Claims), strict.RejectUnknownMembers(true)); err != nil {
			t.Errorf("line %d: %v", f.line, err)
		}
		found++
	}
	if found != 2 {
		t.Errorf("found %d examples, not 2", found)
	}
}

// TestClaimsMembers compares the members of docs/claims.md with those of the
// source, both ways.
func TestClaimsMembers(t *testing.T) {
	page := read(t, "docs/claims.md")
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|").FindAllStringSubmatch(page, -1) {
		documented[m[1]] = true
	}
	for _, name := range members(envelope.Claims{}) {
		if !documented[name] {
			t.Errorf("docs/claims.md has no row for %s", name)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("docs/claims.md has a row for %s, which is no claim", name)
	}
	for _, name := range append(members(envelope.Run{}), members(envelope.KeyClaim{})...) {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/claims.md does not name %s", name)
		}
	}
}

func members(v any) []string {
	var out []string
	for f := range reflect.TypeOf(v).Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}
