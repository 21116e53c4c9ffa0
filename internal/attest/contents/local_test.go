package contents_test

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/signgate/signgate/internal/attest/contents"
)

// tree is an image and what it is when it is unpacked. setup makes the folder.
func unpackedImage(t *testing.T) (dir string, entries []contents.Entry) {
	t.Helper()
	c, err := imageOf(t, []file{
		reg("etc/motd", "hello"), file{name: "bin/su", body: "su", mode: 0o4755}, file{name: "tmp/", kind: tar.TypeDir, mode: 0o1777},
		symlink("lib", "usr/lib"), file{name: "usr/", kind: tar.TypeDir, mode: 0o755}, reg("usr/lib/x.so", "x"), reg("usr/lib-old", "o"),
		symlink("abs", "/usr"), symlink("up", "usr/../etc"), reg("a\nb", "1"), file{name: "p", kind: tar.TypeFifo, mode: 0o600},
	}).read(t, true)
	if err != nil {
		t.Fatal(err)
	}
	if entries, err = c.Files.Entries(c.List); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	bodies := map[string]string{"etc/motd": "hello", "bin/su": "su", "usr/lib/x.so": "x", "usr/lib-old": "o", "a\nb": "1"}
	for _, e := range entries {
		path := filepath.Join(dir, e.Path)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch e.Type {
		case contents.Dir:
			check(t, os.MkdirAll(path, 0o755))
		case contents.File:
			check(t, os.WriteFile(path, []byte(bodies[e.Path]), 0o644))
		case contents.Symlink:
			check(t, os.Symlink(e.Link, path))
		case contents.FIFO:
			check(t, syscall.Mkfifo(path, 0o600))
		}
		if e.Type != contents.Symlink {
			check(t, syscall.Chmod(path, e.Mode))
		}
	}
	return dir, entries
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// local returns the findings as "code path".
func local(t *testing.T, dir string, entries []contents.Entry, paths ...string) (out []string, compared int) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	check(t, err)
	defer root.Close()
	findings, compared, err := contents.Local(t.Context(), root, entries, paths)
	check(t, err)
	for _, f := range findings {
		out = append(out, strings.TrimPrefix(f.Code, "contents_")+" "+f.Path)
	}
	return out, compared
}

// TestLocalSame: an unpacked image is what was attested, by whatever path it is
// asked for.
func TestLocalSame(t *testing.T) {
	dir, entries := unpackedImage(t)
	for paths, want := range map[string]int{".": len(entries), "etc": 1, "etc/motd": 1, "lib": 2, "abs": 4, "abs lib usr": 5, "up": 2, "lib/x.so": 1, "abs/lib/x.so": 1, "up/motd": 1, "usr": 3, "usr/lib usr/lib usr": 3, "p": 1} {
		if got, n := local(t, dir, entries, strings.Fields(paths)...); len(got) != 0 || n != want {
			t.Errorf("%s: %q, %d compared, want %d", paths, got, n, want)
		}
	}
}

// TestLocalDiffers: each way in which a file can differ is found, and where.
func TestLocalDiffers(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(dir string) error
		path string
		want []string
	}{
		"content, same size":   {func(d string) error { return os.WriteFile(d+"/etc/motd", []byte("jello"), 0o644) }, ".", []string{"changed etc/motd"}},
		"size":                 {func(d string) error { return os.WriteFile(d+"/etc/motd", []byte("hello!"), 0o644) }, "etc", []string{"changed etc/motd"}},
		"mode":                 {func(d string) error { return os.Chmod(d+"/etc/motd", 0o666) }, ".", []string{"changed etc/motd"}},
		"setuid is gone":       {func(d string) error { return os.Chmod(d+"/bin/su", 0o755) }, ".", []string{"changed bin/su"}},
		"setuid is there":      {func(d string) error { return syscall.Chmod(d+"/etc/motd", 0o4644) }, ".", []string{"changed etc/motd"}},
		"sticky is gone":       {func(d string) error { return os.Chmod(d+"/tmp", 0o777) }, ".", []string{"changed tmp"}},
		"target":               {func(d string) error { return relink("tmp", d+"/lib") }, ".", []string{"changed lib"}},
		"a file for a link":    {func(d string) error { os.Remove(d + "/lib"); return os.WriteFile(d+"/lib", nil, 0o644) }, ".", []string{"changed lib"}},
		"a link for a file":    {func(d string) error { return relink("motd2", d+"/etc/motd") }, ".", []string{"changed etc/motd"}},
		"a pipe for a file":    {func(d string) error { os.Remove(d + "/etc/motd"); return syscall.Mkfifo(d+"/etc/motd", 0o644) }, ".", []string{"changed etc/motd"}},
		"a directory's link":   {func(d string) error { os.Rename(d+"/usr", d+"/tmp/usr"); return os.Symlink("tmp/usr", d+"/usr") }, "usr/lib/x.so", []string{"changed usr"}},
		"the same, from above": {func(d string) error { os.Rename(d+"/usr", d+"/tmp/usr"); return os.Symlink("tmp/usr", d+"/usr") }, ".", []string{"added tmp/usr", "changed usr"}},
		"below a link":         {func(d string) error { return os.WriteFile(d+"/usr/lib/x.so", []byte("y"), 0o644) }, "lib", []string{"changed usr/lib/x.so"}},
		"added below a link":   {func(d string) error { return os.WriteFile(d+"/usr/evil", nil, 0o644) }, "abs", []string{"added usr/evil"}},
		"gone below a link":    {func(d string) error { return os.RemoveAll(d + "/usr/lib") }, "lib", []string{"missing usr/lib"}},
		"by way of ..":         {func(d string) error { return os.Remove(d + "/etc/motd") }, "up", []string{"missing etc/motd"}},
		"below a file":         {func(string) error { return nil }, "etc/motd/x", []string{"missing etc/motd/x"}},
		"implied, replaced":    {func(d string) error { os.RemoveAll(d + "/etc"); return os.Symlink("/etc", d+"/etc") }, "etc", []string{"changed etc"}},
		"a link out of it":     {func(d string) error { os.RemoveAll(d + "/etc"); return os.Symlink("/etc", d+"/etc") }, "etc/motd", []string{"changed etc"}},
		"an alias, changed":    {func(d string) error { return relink("/tmp", d+"/lib") }, "lib/x.so", []string{"changed lib"}},
		"missing":              {func(d string) error { return os.Remove(d + "/etc/motd") }, ".", []string{"missing etc/motd"}},
		"missing, by name":     {func(d string) error { return os.Remove(d + "/etc/motd") }, "etc/motd", []string{"missing etc/motd"}},
		"missing, a directory": {func(d string) error { return os.RemoveAll(d + "/usr") }, ".", []string{"missing usr"}},
		"missing, its parent":  {func(d string) error { return os.RemoveAll(d + "/usr") }, "usr/lib/x.so", []string{"missing usr/lib/x.so"}},
		"in neither":           {func(string) error { return nil }, "etc/modt", []string{"missing etc/modt"}},
		"added":                {func(d string) error { return os.WriteFile(d+"/usr/evil\x1b", nil, 0o644) }, "usr", []string{"added usr/evil\x1b"}},
		"added, by name":       {func(d string) error { return os.WriteFile(d+"/usr/evil", nil, 0o644) }, "usr/evil", []string{"added usr/evil"}},
		"added, a directory":   {func(d string) error { return os.MkdirAll(d+"/new/below", 0o755) }, ".", []string{"added new"}},
		"added elsewhere":      {func(d string) error { return os.WriteFile(d+"/usr/evil", nil, 0o644) }, "etc", nil},
		"added, no UTF-8":      {func(d string) error { return os.WriteFile(d+"/usr/\xff", nil, 0o644) }, ".", []string{"added usr/\xff"}},
		"a loop":               {func(d string) error { return relink("lib", d+"/lib") }, "lib/x.so", []string{"changed lib"}},
	} {
		dir, entries := unpackedImage(t)
		check(t, tc.do(dir))
		if got, _ := local(t, dir, entries, tc.path); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// TestLocalLinks: a link is compared with all that it leads to, as far as it does.
func TestLocalLinks(t *testing.T) {
	c, err := imageOf(t, []file{
		symlink("bin", "usr/bin"), reg("usr/bin/sh", "sh"), symlink("usr/bin/two", "../../three"), symlink("three", "/bin"),
		symlink("self", "self"), symlink("ring", "gnir"), symlink("gnir", "ring"), symlink("none", "x/y"), symlink("file", "usr/bin/sh/x"),
		symlink("out", "../../usr/../.."), symlink("a/here", "."), symlink("slash", "//usr//"),
	}).read(t, true)
	check(t, err)
	entries, err := c.Files.Entries(c.List)
	check(t, err)
	dir := t.TempDir()
	for _, e := range entries {
		path := filepath.Join(dir, e.Path)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if e.Type == contents.Symlink {
			check(t, os.Symlink(e.Link, path))
		}
	}
	check(t, os.WriteFile(dir+"/usr/bin/sh", []byte("sh"), 0o644))
	for _, tc := range []struct {
		path     string
		compared int
		want     string // where usr/bin/sh is another one
	}{
		{"bin", 3, "changed usr/bin/sh"}, {"usr/bin/two", 4, "changed usr/bin/sh"}, {"bin/two", 4, "changed usr/bin/sh"}, {"slash", 3, "changed usr/bin/sh"},
		{"out", len(entries), "changed usr/bin/sh"}, {"bin/two/sh", 1, "changed usr/bin/sh"},
		{"self", 1, ""}, {"ring", 2, ""}, {"none", 1, ""}, {"a/here", 1, ""}, {"a/here/here", 1, ""},
	} {
		check(t, os.WriteFile(dir+"/usr/bin/sh", []byte("sh"), 0o644))
		if got, n := local(t, dir, entries, tc.path); len(got) > 0 || n != tc.compared {
			t.Errorf("%s: %q, %d compared", tc.path, got, n)
		}
		check(t, os.WriteFile(dir+"/usr/bin/sh", []byte("hs"), 0o644))
		if got, _ := local(t, dir, entries, tc.path); strings.Join(got, " ") != tc.want {
			t.Errorf("%s, changed: %q", tc.path, got)
		}
	}
	for path, want := range map[string]string{"self/x": "unreadable self", "ring/x": "unreadable ring", "file": "", "none/y": "missing x/y/y"} {
		if got, _ := local(t, dir, entries, path); len(got) > 1 || strings.Join(got, "") != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	check(t, os.Mkdir(dir+"/x", 0o755))
	check(t, os.Mkdir(dir+"/x/y", 0o755))
	if got, _ := local(t, dir, entries, "none"); !slices.Equal(got, []string{"added x/y"}) {
		t.Errorf("what a link leads to here alone: %q", got)
	}
}

// ending is a context that ends when it was asked a few times.
type ending struct {
	context.Context
	left int
}

func (e *ending) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestLocalCancelled: a large file is not read to its end when the time is up,
// and nothing is said of it.
func TestLocalCancelled(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(dir+"/large", nil, 0o644))
	check(t, os.Truncate(dir+"/large", 16<<20))
	root, err := os.OpenRoot(dir)
	check(t, err)
	defer root.Close()
	large := contents.Entry{Path: "large", Type: contents.File, Mode: 0o644, Size: 16 << 20}
	findings, _, err := contents.Local(&ending{t.Context(), 10}, root, []contents.Entry{large}, []string{"large"})
	if len(findings) != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%v %v", findings, err)
	}
}

func relink(target, path string) error {
	os.Remove(path)
	return os.Symlink(target, path)
}
