package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// TestQuickStart runs the shell blocks of docs/quickstart/file.md, with a
// registry in the place of ghcr.io and an image that was pushed there.
func TestQuickStart(t *testing.T) {
	for _, tool := range []string{"sh", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal(err)
		}
	}
	program, err := signgate()
	if err != nil {
		t.Fatal(err)
	}
	s := registrytest.Start(t, registrytest.Fallback)
	digest := s.PushIndex(t, "acme/app:1.4", "linux/amd64", "linux/arm64")
	text, dir := "set -e\n", t.TempDir()
	for _, f := range fences(t, "sh") {
		if f.page == "docs/quickstart/file.md" {
			text += f.text
		}
	}
	text = strings.ReplaceAll(text, "ghcr.io", s.Host)
	text = regexp.MustCompile(`sha256:[0-9a-f]{64}`).ReplaceAllString(text, digest)
	cmd := exec.Command("sh", "-c", text)
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "verify: PASSED: ") {
		t.Errorf("%v\n%s", err, out)
	}
}
