package actions_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/actions"
)

var (
	hexA = strings.Repeat("a", 64)
	hexB = strings.Repeat("b", 64)
)

func artifacts(t *testing.T, text string) ([]actions.Artifact, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list")
	write(t, path, text)
	r, _, _ := inActions(t, map[string]string{"GITHUB_ARTIFACTS_LIST": path})
	return r.ArtifactsList()
}

func entry(name, digest, kind string) string {
	return `{"name":"` + name + `","digest":"` + digest + `","kind":"` + kind + `"}`
}

func TestArtifactsList(t *testing.T) {
	got, err := artifacts(t, `{"version":1,"later":{},"subjects":[`+strings.Join([]string{
		entry("app.tgz", "sha256:"+hexA, "file"),
		entry("ghcr.io/o/r:1", "sha256:"+strings.ToUpper(hexA), "oci"),
		entry("ghcr.io/o/r:1", "sha256:"+hexA, "oci"),
		entry("oci://localhost:5000/r@sha256:"+hexB, "", ""),
	}, ",")+`]}`)
	want := []actions.Artifact{
		{Name: "app.tgz", Digest: "sha256:" + hexA, Kind: "file"},
		{Name: "ghcr.io/o/r:1", Digest: "sha256:" + hexA, Kind: actions.KindOCI},
		{Name: "localhost:5000/r", Digest: "sha256:" + hexB, Kind: actions.KindOCI},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = artifacts(t, `{"version":1,"subjects":[]}`); err != nil || len(got) != 0 {
		t.Errorf("empty list: %v, %v", got, err)
	}
}

func TestArtifactsListMissing(t *testing.T) {
	for _, path := range []string{"", "  ", "/nonexistent/list"} {
		r, _, _ := inActions(t, map[string]string{"GITHUB_ARTIFACTS_LIST": path})
		_, err := r.ArtifactsList()
		wantCode(t, err, "artifacts_list_missing")
	}
	_, err := artifacts(t, " \n")
	wantCode(t, err, "artifacts_list_missing")
}

func TestArtifactsListInvalid(t *testing.T) {
	good := entry("r", "sha256:"+hexA, "oci")
	for name, text := range map[string]string{
		"not json":   "oci://r@sha256:" + hexA,
		"an array":   `[` + good + `]`,
		"version":    `{"version":2,"subjects":[]}`,
		"no kind":    `{"version":1,"subjects":[` + entry("r", "sha256:"+hexA, "") + `]}`,
		"no name":    `{"version":1,"subjects":[` + entry("", "sha256:"+hexA, "oci") + `]}`,
		"short":      `{"version":1,"subjects":[` + entry("r", "sha256:aa", "oci") + `]}`,
		"md5":        `{"version":1,"subjects":[` + entry("r", "md5:"+hexA, "oci") + `]}`,
		"null":       `{"version":1,"subjects":[null]}`,
		"two":        `{"version":1,"subjects":[` + good + `,` + entry("r", "sha256:"+hexB, "oci") + `]}`,
		"contradict": `{"version":1,"subjects":[` + entry("r@sha256:"+hexB, "sha256:"+hexA, "oci") + `]}`,
		"many":       `{"version":1,"subjects":[` + strings.Repeat(good+",", 500) + good + `]}`,
		"large":      `{"version":1,"subjects":[]}` + strings.Repeat(" ", 1<<20),
	} {
		_, err := artifacts(t, text)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		wantCode(t, err, "artifacts_list_invalid")
	}
	r, _, _ := inActions(t, map[string]string{"GITHUB_ARTIFACTS_LIST": t.TempDir()})
	_, err := r.ArtifactsList()
	wantCode(t, err, "artifacts_list_invalid")
}

func FuzzArtifactsList(f *testing.F) {
	f.Add(`{"version":1,"subjects":[` + entry("r", "sha256:"+hexA, "oci") + `]}`)
	f.Add(`{"subjects":[{"name":"oci://r@sha256:` + hexA + `"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := artifacts(t, text)
		for _, a := range list {
			if err != nil || a.Name == "" || a.Kind == "" || !strings.HasPrefix(a.Digest, "sha") {
				t.Fatalf("%q gave %+v, %v", text, a, err)
			}
		}
	})
}
