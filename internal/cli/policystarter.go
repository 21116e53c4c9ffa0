package cli

import (
	"encoding/pem"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/signer"
)

var notInName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// named returns the distinct keys with names that are distinct and may stand in
// a policy: those of their files, or else numbers.
func named(keys []envelope.Key) []envelope.Key {
	var out []envelope.Key
	for _, k := range keys {
		if slices.ContainsFunc(out, sameKey(k)) {
			continue
		}
		base := strings.TrimPrefix(path.Base(k.Name), "env://")
		base = strings.TrimSuffix(strings.TrimSuffix(base, ".pub"), ".pem")
		if base = strings.Trim(notInName.ReplaceAllString(base, "-"), "._-"); base == "" || base == "inline" {
			base = "key"
		}
		k.Name = base
		for n := 2; slices.ContainsFunc(out, func(o envelope.Key) bool { return strings.EqualFold(o.Name, k.Name) }); n++ {
			k.Name = fmt.Sprintf("%s-%d", base, n)
		}
		out = append(out, k)
	}
	return out
}

// starter renders a policy that requires of each repository the keys that have
// signed all that was looked at there. An image that no key has signed is a
// refusal ("key_other").
func starter(signed []signedSubject, keys []envelope.Key, now time.Time) (string, error) {
	var rules strings.Builder
	used := map[string]bool{}
	for i, s := range signed {
		first := slices.IndexFunc(signed, func(o signedSubject) bool { return o.Repository == s.Repository })
		if first != i {
			continue
		}
		if err := starterRule(&rules, signed, s.Repository, used); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by signgate policy init at %s from what is signed today.\n", stamp(now))
	b.WriteString("# Review it: is each key yours, is each rule what you want to require?\nversion: 1\nkeys:\n")
	for _, k := range keys {
		if !used[k.Name] {
			fmt.Fprintf(&b, "  # %s was given and has not signed everything: it is left out\n", k.Name)
			continue
		}
		der, err := signer.MarshalPublicKey(k.Public)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  %s: # %s %s\n    pem: |\n", k.Name, signer.KeyType(k.Public), k.Fingerprint)
		for line := range strings.Lines(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))) {
			b.WriteString("      " + line)
		}
	}
	return b.String() + "rules:\n" + rules.String(), nil
}

func starterRule(b *strings.Builder, signed []signedSubject, repository string, used map[string]bool) error {
	tops, children := []signedSubject{}, []signedSubject{}
	for _, s := range signed {
		switch {
		case s.Repository != repository:
		case s.Index == "":
			tops = append(tops, s)
		default:
			children = append(children, s)
		}
	}
	common := commonKeys(tops)
	if len(common) == 0 {
		return fault.Refusedf("key_other", "give the key that has signed it, or sign it; signgate inspect shows what is attached",
			"none of the keys has signed every image of %s that was named", repository)
	}
	fmt.Fprintf(b, "  - match: [%q] # or a wider pattern, such as %q\n", image.Canonical(repository), path.Dir(image.Canonical(repository))+"/**")
	b.WriteString("    require: # each of them; for any of several keys write one entry with keys: [a, b] and min: 1\n")
	for _, name := range common {
		used[name] = true
		fmt.Fprintf(b, "      - keys: [%s]\n", name)
	}
	b.WriteString(starterBind(tops))
	if below := commonKeys(children); len(children) > 0 && !slices.Equal(below, common) {
		b.WriteString("    index: self # the platforms' manifests are not all signed; better sign them, and remove this line\n")
	}
	return nil
}

// starterBind asks for the claims that all signatures make.
func starterBind(tops []signedSubject) string {
	bind := []string{}
	if !slices.ContainsFunc(tops, func(s signedSubject) bool { return !s.repository }) {
		bind = append(bind, "repository: signed")
		if !slices.ContainsFunc(tops, func(s signedSubject) bool { return !s.tag }) {
			bind = append(bind, "tag: signed")
		}
	}
	if len(bind) == 0 {
		return "    # the signatures do not say for which repository they were made, so nothing is bound\n"
	}
	return "    bind: {" + strings.Join(bind, ", ") + "} # a signature counts only for the name that it was made for\n"
}

// commonKeys returns the names of the keys that have signed all.
func commonKeys(all []signedSubject) []string {
	var out []string
	if len(all) == 0 {
		return out
	}
	for _, name := range all[0].keys {
		if !slices.ContainsFunc(all, func(s signedSubject) bool { return !slices.Contains(s.keys, name) }) {
			out = append(out, name)
		}
	}
	return out
}
