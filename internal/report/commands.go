package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/attest"
)

// mostPEM is how many public keys are shown.
const mostPEM = 8

// commands are lines for those who want to verify it themselves, without a
// workflow, and the public keys that the lines name.
func (r *Report) commands(groups []group) []string {
	files := r.keyFiles()
	var passed []group
	var blocks []string
	for _, g := range groups {
		if g.weight() == 0 && len(files) > 0 {
			passed = append(passed, g)
		}
	}
	for _, g := range passed[:min(len(passed), mostCommands)] {
		if lines := r.lines(g, files); len(lines) > 0 {
			blocks = append(blocks, strings.Join(lines, "\n"))
		}
	}
	if len(blocks) == 0 {
		return nil
	}
	lines := strings.Join(blocks, "\n\n")
	with := ""
	if strings.Contains(lines, "cosign ") {
		with = ", with cosign 3 ([cosign 2 wants one flag more](" + docs(r.Version) + "migrate.md#verify-with-cosign))"
	}
	out := []string{"### Verify it yourself\n", "Save the public key from the fold below in a file of that name, then" + with + ":\n\n```sh\n" + lines + "\n```\n"}
	if more := len(passed) - mostCommands; more > 0 {
		out = append(out, fmt.Sprintf("The same lines verify the %d other images.\n", more))
	}
	return append(out, r.publicKeys(files)...)
}

// keyFiles names a file for each key, by its fingerprint.
func (r *Report) keyFiles() map[string]string {
	files := map[string]string{}
	for i, k := range r.Keys[:min(len(r.Keys), mostPEM)] {
		files[k.Fingerprint] = "signgate.pub"
		if len(r.Keys) > 1 {
			files[k.Fingerprint] = fmt.Sprintf("signgate-%d.pub", i+1)
		}
	}
	return files
}

func (r *Report) publicKeys(files map[string]string) []string {
	var out []string
	for _, k := range r.Keys[:min(len(r.Keys), mostPEM)] {
		kept := ""
		if k.Custody != nil {
			kept = " · " + prose(k.custody())
		}
		out = append(out, fmt.Sprintf("<details><summary>Public key %s (%s)</summary>\n\nKey %s · fingerprint %s%s\n\n```\n%s\n```\n\n</details>\n",
			files[k.Fingerprint], k.Type, code(k.ID), code(k.Fingerprint), kept, strings.TrimSpace(k.PublicKey)))
	}
	return out
}

// lines are those for one image. One that holds what a shell should not be given is
// left out.
func (r *Report) lines(g group, files map[string]string) []string {
	s, keys := g[0], r.Keys
	ours, theirs := []string{"signgate", "verify"}, []string{"cosign"}
	if r.Store != "" {
		ours, theirs = append(ours, "--signature-repository", r.Store), []string{"COSIGN_REPOSITORY=" + r.Store, "cosign"}
	}
	tagged := s.Subject.String()
	if len(s.Tags) > 0 {
		tagged = s.Repository + ":" + s.Tags[0] + "@" + s.Digest
	}
	var lines []string
	add := func(program []string, words ...string) {
		if line, ok := shell(slices.Concat(program, words)...); ok && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	for _, sig := range s.Signatures {
		if file := files[sig.Fingerprint]; file != "" {
			add(ours, "--trusted-keys", file, tagged)
			if cosignReads(keys, sig.Fingerprint) {
				add(theirs, "verify", "--key", file, "--insecure-ignore-tlog=true", s.Subject.String())
			}
			break
		}
	}
	for _, a := range s.Attestations {
		if file := files[a.Fingerprint]; file != "" && cosignReads(keys, a.Fingerprint) {
			add(theirs, "verify-attestation", "--key", file, "--insecure-ignore-tlog=true", "--type", attest.Name(a.Type), s.Subject.String())
		}
	}
	return lines[:min(len(lines), 10)]
}

// cosignReads reports whether cosign verifies with the key as it comes, in all
// its versions; see envelope.ReaderWarning.
func cosignReads(keys []Key, fingerprint string) bool {
	i := slices.IndexFunc(keys, func(k Key) bool { return k.Fingerprint == fingerprint })
	return i >= 0 && (keys[i].Type == "P-256" || keys[i].Type == "Ed25519" || strings.HasPrefix(keys[i].Type, "RSA"))
}

var bare = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// shell quotes words for a POSIX shell (IEEE Std 1003.1, 2.2.2 "Single-Quotes").
// The last word, the
// image, has a line of its own. It gives up on words that do not show what they
// are.
func shell(words ...string) (line string, ok bool) {
	for i, w := range words {
		if Clean(w) != w || len(w) > mostName {
			return "", false
		}
		if !bare.MatchString(w) {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		switch {
		case i == len(words)-1:
			line += " \\\n  " // the image on a line of its own
		case i > 0:
			line += " "
		}
		line += w
	}
	return line, !strings.Contains(line, "```")
}
