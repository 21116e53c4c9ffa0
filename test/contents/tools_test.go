package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/attest/contents"
	"github.com/signgate/signgate/internal/attest/contents/contentstest"
	"github.com/signgate/signgate/internal/cli"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry/registrytest"
)

// TestTools: an image that GNU tar has packed and crane has pushed, and that crane and tar
// have unpacked, is what find, stat and sha256sum see of it, and what the list
// says; the recipe of docs/predicates/contents.md agrees. It needs the peers
// cosign-v3 and crane (test/setup/peers.sh).
func TestTools(t *testing.T) {
	peers := strings.TrimSpace(shell(t, "../setup/peers.sh cosign-v3 crane"))
	t.Setenv("PATH", peers+":"+os.Getenv("PATH"))
	page, err := os.ReadFile("../../docs/predicates/contents.md")
	must(t, err)
	server := registrytest.Start(t, registrytest.Referrers)
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	t.Setenv("REF", server.Host+"/app:1")
	shell(t, `
		mkdir -p one/usr/bin one/etc/old one/gone/deep one/tmp two/etc two/usr rootfs
		for f in sh tar su find env; do cp -p "$(readlink -f "$(command -v $f)")" one/usr/bin/$f; done
		chmod 4755 one/usr/bin/su; chmod 1777 one/tmp; ln one/usr/bin/tar one/usr/bin/tar2; ln -s usr/bin one/bin
		ln -s ../../etc/shadow one/etc/out; mkfifo one/pipe
		printf 1 > 'one/ü a'; printf 2 > "$(printf 'one/new\nline')"
		touch one/etc/old/a one/etc/b one/gone/deep/file one/empty; printf x > one/becomes-dir; mkdir one/becomes-file; touch one/becomes-file/f
		mkdir two/becomes-dir; touch two/becomes-dir/f; printf y > two/becomes-file; printf changed > two/etc/b; chmod 600 two/etc/b
		touch two/.wh.gone two/etc/.wh.out; chmod 700 two/usr
		tar -C one -czf one.tar.gz --sort=name . ; tar -C two -cf two.tar .
		crane append --insecure --oci-empty-base -f one.tar.gz -f two.tar -t "$REF" 2>&1
		crane export --insecure "$REF" - | tar -xpf - -C rootfs`)
	_, list := attestedFiles(t, server.Host+"/app", strings.TrimSpace(shell(t, `crane digest --insecure "$REF"`)))
	if got, want := seen(t), listed(list); !slices.Equal(got, want) {
		t.Errorf("find, stat and sha256sum see\n%s\nand the list has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if out, code := check("--root", "rootfs", os.Getenv("REF"), "rootfs"); code != 0 || !strings.Contains(out, fmt.Sprint(len(list), " compared")) {
		t.Errorf("%d: %s", code, out)
	}
	recipe(t, string(page))
	shell(t, `printf jello > rootfs/etc/b; touch rootfs/usr/bin/evil; rm rootfs/empty`)
	out, code := check("--root", "rootfs", os.Getenv("REF"), "rootfs")
	for _, want := range []string{"contents_changed: /etc/b", "contents_added: /usr/bin/evil", "contents_missing: /empty"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("%d: %s: lacks %s", code, out, want)
		}
	}
}

// shell runs a script, which has to succeed, and returns what it prints.
func shell(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s\n%v\n%s%s", script, err, out, stderr.String())
	}
	return string(out)
}

// attestedFiles attests an image, with a key whose public half is release.pub.
func attestedFiles(t *testing.T, repository, digest string) (contents.Contents, []contents.Entry) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	must(t, os.WriteFile("release.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	c := contentstest.Client()
	m, _, err := c.Manifest(t.Context(), repository, digest)
	must(t, err)
	s := image.Subject{Repository: repository, Digest: digest, MediaType: m.MediaType, Size: int64(len(m.Body))}
	said, err := contentstest.Read(t.Context(), c, s, true)
	must(t, err)
	must(t, contentstest.Attest(t.Context(), c, s, said, key))
	entries, err := said.Files.Entries(said.List)
	must(t, err)
	t.Setenv("IMAGE", repository+"@"+digest)
	return said, entries
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func check(args ...string) (string, int) {
	var out bytes.Buffer
	args = append([]string{"contents", "check", "--trusted-keys", "release.pub"}, args...)
	code := cli.Main(context.Background(), cli.Process{Args: args, Stdout: &out, Stderr: &out, Version: "test"})
	return out.String(), code
}

// seen returns "type mode size owner target sha256 path" of each file in rootfs.
func seen(t *testing.T) (out []string) {
	text := shell(t, `cd rootfs && find . -printf '%y %m %s %U:%G %l\t%P\0' | while IFS= read -r -d '' line; do
		path=${line#*$'\t'} sum=
		if [[ $line == f* ]]; then sum=$(sha256sum < "./$path"); sum=${sum%% *}; fi
		printf '%s %s %s\0' "${line%%$'\t'*}" "$sum" "${path:-.}"
	done`)
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\x00"), "\x00") {
		f := strings.SplitN(line, " ", 3)
		if f[0] != "f" { // the size of anything else is the file system's own
			_, rest, _ := strings.Cut(f[2], " ")
			line = f[0] + " " + f[1] + " 0 " + rest
		}
		if f[0] == "l" {
			line = "l 0" + strings.TrimPrefix(line, f[0]+" "+f[1])
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

// listed returns the same of a list.
func listed(entries []contents.Entry) (out []string) {
	kinds := map[contents.Type]string{contents.File: "f", contents.Dir: "d", contents.Symlink: "l", contents.FIFO: "p"}
	for _, e := range entries {
		out = append(out, fmt.Sprintf("%s %o %d %d:%d %s %s %s", kinds[e.Type], e.Mode, e.Size, e.UID, e.GID, e.Link, e.SHA256, e.Path))
	}
	slices.Sort(out)
	return out
}

// recipe runs what docs/predicates/contents.md gives to whoever has no signgate.
func recipe(t *testing.T, page string) {
	t.Helper()
	_, section, _ := strings.Cut(page, "\n## Check without signgate\n")
	var script string
	for i, part := range strings.Split(section, "```") {
		if code, ok := strings.CutPrefix(part, "sh\n"); ok && i%2 == 1 {
			script += code
		}
	}
	script = strings.NewReplacer("ghcr.io/acme/app@sha256:…", `"$IMAGE"`, "ghcr.io/acme/app@", os.Getenv("REF")+"@", "crane blob", "crane blob --insecure",
		"cosign verify-attestation", "cosign-v3 verify-attestation", "select(.type ==", `select(.path | test("[\\n\\\\]") | not) | select(.type ==`,
		"select(.mode)", `select(.path | test("[\\n\\\\]") | not) | select(.mode)`).Replace(script)
	script = strings.ReplaceAll(script, os.Getenv("REF")+"@", strings.TrimSuffix(os.Getenv("REF"), ":1")+"@")
	out := shell(t, script)
	if !strings.Contains(out, "contents.jsonl: OK") || strings.Count(out, "\n") != 2 {
		t.Errorf("the recipe prints\n%s", out)
	}
}
