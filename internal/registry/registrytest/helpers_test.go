package registrytest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
)

// answer is what a registry said.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask makes a request to a path below /v2/ with alternating header names and
// values.
func ask(t *testing.T, s *registrytest.Server, method, path, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Host+"/v2/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Error(err)
		return answer{}
	}
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err) // also called from goroutines, which may not end the test
		return answer{}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// want fails unless the answer has the status.
func (a answer) want(t *testing.T, what string, status int) answer {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: %d %s, want %d", what, a.status, a.body, status)
	}
	return a
}

func digestOf(content string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content))) }

// refer pushes a manifest that refers to a subject, by its digest.
func refer(t *testing.T, s *registrytest.Server, subject, artifactType, configType string, n int) string {
	t.Helper()
	m := map[string]any{
		"schemaVersion": 2, "mediaType": ociManifest, "layers": []any{}, "annotations": map[string]string{"n": fmt.Sprint(n)},
		"config":  map[string]any{"mediaType": configType, "digest": digestOf("{}"), "size": 2},
		"subject": map[string]any{"mediaType": ociManifest, "digest": subject, "size": 1},
	}
	if artifactType != "" {
		m["artifactType"] = artifactType
	}
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	digest := digestOf(string(body))
	ask(t, s, http.MethodPut, "app/manifests/"+digest, string(body), "Content-Type", ociManifest).want(t, "PUT", http.StatusCreated)
	return digest
}
