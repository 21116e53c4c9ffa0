// Command contents measures signgate contents check on a large image, beside
// sha256sum on its layers: it makes the image, serves it from a registry on
// loopback, attests its files, and lets both read all of it in turn. With -write it
// puts the table into docs/benchmarks.md.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/signgate/signgate/internal/attest/contents/contentstest"
)

// The targets of the design.
const (
	maxRatio  = 2.0
	maxMemory = 100e6 // bytes
)

type options struct {
	layers, files, runs int
	size                int64
	write               bool
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == launchVerb {
		if err := launch(os.Args[2:]); err != nil {
			log.Fatal("contents: ", err)
		}
		return
	}
	var o options
	flag.IntVar(&o.layers, "layers", 5, "layers of the image")
	flag.IntVar(&o.files, "files", 50_000, "files in all of them")
	flag.Int64Var(&o.size, "size", 1e9, "bytes in all of these")
	flag.IntVar(&o.runs, "n", 3, "measured runs of each program; one more warms up")
	flag.BoolVar(&o.write, "write", false, "put the table into docs/benchmarks.md")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		log.Fatal("contents: ", err)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "signgate-contents-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	layers, err := makeLayers(dir, o.layers, o.files, o.size)
	if err != nil {
		return err
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true), registry.WithBlobHandler(registry.NewDiskBlobHandler(dir))))
	defer server.Close()
	check, err := attested(ctx, dir, strings.TrimPrefix(server.URL, "http://"), layers)
	if err != nil {
		return err
	}
	sums := exec.Command("sha256sum")
	for _, l := range layers {
		sums.Args = append(sums.Args, l.plain)
	}
	table, err := compare(o, layers, check, sums)
	fmt.Print(table)
	if err != nil || !o.write {
		return err
	}
	return put("docs/benchmarks.md", table)
}

// attested builds signgate, pushes the image, attests its files, and returns the
// command that checks it.
func attested(ctx context.Context, dir, host string, layers []layer) (*exec.Cmd, error) {
	program, pub := filepath.Join(dir, "signgate"), filepath.Join(dir, "key.pub")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/signgate").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(pub, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		return nil, err
	}
	img, err := contentstest.Image(imageOf(layers)...)
	if err != nil {
		return nil, err
	}
	s, err := contentstest.Push(host+"/app:1", img)
	if err != nil {
		return nil, err
	}
	c := contentstest.Client()
	said, err := contentstest.Read(ctx, c, s, true)
	if err != nil {
		return nil, err
	}
	return exec.Command(program, "contents", "check", "--trusted-keys", pub, s.String()), contentstest.Attest(ctx, c, s, said, key)
}

// sample is one process.
type sample struct {
	wall, cpu time.Duration
	memory    int64 // the largest resident set, bytes
}

// measure runs a program by a fresh copy of this one: Linux counts the memory of
// the parent at the start into the peak of a new process, and this one is large.
func measure(cmd *exec.Cmd) (s sample, err error) {
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	out, err := exec.Command(self, append([]string{launchVerb, cmd.Path}, cmd.Args[1:]...)...).Output()
	if err != nil {
		return s, fmt.Errorf("%s: %w\n%s", cmd.Args[0], err, out)
	}
	_, err = fmt.Sscan(string(out), &s.wall, &s.cpu, &s.memory)
	return s, err
}

const launchVerb = "launch"

// launch runs a program and prints what it has cost.
func launch(args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	wall, state := time.Since(began), cmd.ProcessState
	fmt.Println(int64(wall), int64(state.UserTime()+state.SystemTime()), state.SysUsage().(*syscall.Rusage).Maxrss<<10) // Linux has kilobytes
	return nil
}

// compare lets both programs work in turn, and changes who goes first.
func compare(o options, layers []layer, check, sums *exec.Cmd) (string, error) {
	var ours, theirs, ratios []sample
	for i := range o.runs + 1 {
		var s [2]sample
		for j := range 2 {
			k := (i + j) % 2
			var err error
			if s[k], err = measure([]*exec.Cmd{check, sums}[k]); err != nil {
				return "", err
			}
		}
		if i > 0 {
			ours, theirs = append(ours, s[0]), append(theirs, s[1])
			ratios = append(ratios, sample{wall: s[0].wall * 1000 / s[1].wall, cpu: s[0].cpu * 1000 / s[1].cpu})
		}
	}
	return table(o, layers, median(ours), median(theirs), median(ratios)), nil
}

// median returns the median of each figure.
func median(all []sample) (out sample) {
	middle := func(of func(sample) int64) int64 {
		var list []int64
		for _, s := range all {
			list = append(list, of(s))
		}
		slices.Sort(list)
		return list[len(list)/2]
	}
	out.wall = time.Duration(middle(func(s sample) int64 { return int64(s.wall) }))
	out.cpu = time.Duration(middle(func(s sample) int64 { return int64(s.cpu) }))
	out.memory = middle(func(s sample) int64 { return s.memory })
	return out
}

func table(o options, layers []layer, ours, theirs, ratio sample) string {
	var packed int64
	for _, l := range layers {
		packed += l.size
	}
	var b strings.Builder
	fmt.Fprintf(&b, "```text\n$ go run ./test/contents -n %d\n%s %s/%s, %d CPUs\n", o.runs, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	fmt.Fprintf(&b, "%d files of %.0f MB in %d layers, %.0f MB in gzip; medians\n\n", o.files, float64(o.size)/1e6, o.layers, float64(packed)/1e6)
	fmt.Fprintf(&b, "%36s%10s%10s\n", "wall", "CPU", "memory")
	for _, row := range []struct {
		name string
		sample
	}{{"signgate contents check", ours}, {"sha256sum, layers as tar", theirs}} {
		fmt.Fprintf(&b, "  %-24s%8.2f s%8.2f s%7.0f MB\n", row.name, row.wall.Seconds(), row.cpu.Seconds(), float64(row.memory)/1e6)
	}
	fmt.Fprintf(&b, "  %-24s%10.2f%10.2f\n", "signgate/sha256sum", float64(ratio.wall)/1000, float64(ratio.cpu)/1000)
	fmt.Fprintf(&b, "  target  wall ≤ %.1f of sha256sum: %s (%.2f)\n", maxRatio, met(float64(ratio.wall)/1000 <= maxRatio), float64(ratio.wall)/1000)
	fmt.Fprintf(&b, "  target  memory < %.0f MB: %s (%.0f MB)\n```\n", maxMemory/1e6, met(float64(ours.memory) < maxMemory), float64(ours.memory)/1e6)
	return b.String()
}

func met(ok bool) string {
	if ok {
		return "ok"
	}
	return "missed"
}

// put replaces what is between the marks of a page.
func put(page, table string) error {
	const begin, end = "<!-- BEGIN contents -->\n", "<!-- END contents -->"
	data, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no place for the table", page)
	}
	return os.WriteFile(page, []byte(before+begin+table+end+after), 0o644)
}
