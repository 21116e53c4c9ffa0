package interop

import (
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// The formats of signgate.
const (
	simpleSigning = "simplesigning"
	bundle        = "bundle"
	both          = "simplesigning,bundle"
)

// readers are the ways in which stock cosign verifies without a transparency
// log, and what each of them can read. All look at bundles first, and at simple
// signing when there is no bundle at all. For bundles, version 2 wants a trusted
// root, which it would fetch from the Internet.
var readers = []struct {
	name   string
	cosign *string
	flags  func(*testing.T) []string
	reads  []string
}{
	{"cosign 3", &programs.cosign3, none, []string{simpleSigning, bundle, both}},
	{"cosign 2", &programs.cosign2, none, []string{simpleSigning}},
	{"cosign 2 with a trusted root", &programs.cosign2, trustedRoot, []string{simpleSigning, bundle, both}},
	{"cosign 2 in the new format", &programs.cosign2, newFormat, []string{bundle, both}},
}

// writers are the ways in which stock cosign signs without one.
var writers = []struct {
	name      string
	cosign    *string
	flags     func(*testing.T) []string
	format    string
	annotates bool // signs the annotations of -a
}{
	{"cosign 3 bundle", &programs.cosign3, noServices, bundle, true},
	{"cosign 3 simple signing", &programs.cosign3, oldFormat, simpleSigning, true},
	{"cosign 2 simple signing", &programs.cosign2, noLog, simpleSigning, true},
	{"cosign 2 bundle", &programs.cosign2, newFormatNoServices, bundle, false},
}

func none(*testing.T) []string { return nil }

func noLog(*testing.T) []string { return []string{"--tlog-upload=false"} }

func oldFormat(*testing.T) []string {
	return []string{"--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false"}
}

func trustedRoot(t *testing.T) []string {
	return []string{"--trusted-root", emptyFile(t, "trusted-root")}
}

func newFormat(t *testing.T) []string {
	return append(trustedRoot(t), "--new-bundle-format")
}

func noServices(t *testing.T) []string {
	return []string{"--signing-config", emptyFile(t, "signing-config")}
}

func newFormatNoServices(t *testing.T) []string {
	return append(noServices(t), "--new-bundle-format")
}

var emptyFiles sync.Mutex

// emptyFile returns a trusted root or a signing config without entries, made
// by cosign.
func emptyFile(t *testing.T, kind string) string {
	t.Helper()
	emptyFiles.Lock()
	defer emptyFiles.Unlock()
	path := filepath.Join(home, kind+".json")
	if !exists(path) {
		must(t, nil, programs.cosign3, kind, "create", "--out", path)
	}
	return path
}

// cosignVerify runs a reader on an image.
func (r registry) cosignVerify(t *testing.T, reader int, public, ref string, more ...string) result {
	t.Helper()
	args := slices.Concat([]string{"verify", "--key", public, "--insecure-ignore-tlog"}, readers[reader].flags(t), more, []string{ref})
	return run(t, r.env, *readers[reader].cosign, args...)
}

// cosignAll checks that the readers that can read the formats accept an image,
// and that the others refuse it.
func (r registry) cosignAll(t *testing.T, formats, public, ref string, more ...string) {
	t.Helper()
	for i, reader := range readers {
		reads := slices.Contains(reader.reads, formats)
		if got := r.cosignVerify(t, i, public, ref, more...); (got.code == 0) != reads {
			t.Errorf("%s and the formats %q: want verified %t\n%s", reader.name, formats, reads, got)
		}
	}
}

// cosignNone checks that every reader refuses.
func (r registry) cosignNone(t *testing.T, public, ref string, more ...string) {
	t.Helper()
	r.cosignAll(t, "", public, ref, more...)
}

// cosignSign runs a writer on an image.
func (r registry) cosignSign(t *testing.T, writer int, k key, ref string, more ...string) {
	t.Helper()
	args := slices.Concat([]string{"sign", "--key", k.path, "--yes"}, writers[writer].flags(t), more, []string{ref})
	must(t, r.env, *writers[writer].cosign, args...)
}
