package registry

import (
	"context"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// Where the registry serves the referrers API, each version of a signature tag
// is a referrer. A version that is replaced stays listed, so whoever writes
// can see after his write which versions the tag does not hold: he lists after
// he has written, so of two writers at least the later one sees both. Each
// version names those that it has merged, which makes them a history like that
// of a version control system, and spares the reading of what is in it.

// maxLayers is where cosign stops to read a signature tag.
const maxLayers = 1000

// setVersion makes m a referrer of s that replaces old and merges others.
func (m members) setVersion(s image.Subject, old tagged, merges []string) error {
	if err := m.set("subject", subjectOf(s)); err != nil {
		return err
	}
	if m["artifactType"] == nil {
		if err := m.set("artifactType", signaturesType); err != nil {
			return err
		}
	}
	annotations := map[string]jsontext.Value{}
	if m["annotations"] != nil {
		if err := json.Unmarshal(m["annotations"], &annotations); err != nil {
			return err
		}
	}
	replaced := slices.Clone(merges)
	if old.presence == Found {
		replaced = append(replaced, old.Digest)
	}
	slices.Sort(replaced)
	delete(annotations, replacesName)
	if len(replaced) > 0 {
		text, err := json.Marshal(strings.Join(replaced, ","))
		if err != nil {
			return err
		}
		annotations[replacesName] = text
	}
	if len(annotations) == 0 {
		return nil
	}
	return m.set("annotations", annotations)
}

// isVersion reports whether a referrer may be a version of the signature tag.
func (d descriptor) isVersion() bool {
	return d.MediaType == image.OCIManifest && (d.ArtifactType == signaturesType || d.ArtifactType == configMediaType)
}

// heads returns the listed versions that neither are at the tag nor in the
// history of what is there, sorted.
func (v *View) heads(ctx context.Context) ([]string, error) {
	l := v.listing(ctx)
	if l.err != nil {
		return nil, &StoreError{StoreReferrers, l.err}
	}
	m, tip, err := v.signatures(ctx)
	if err != nil {
		return nil, err
	}
	parents := map[string]string{tip: m.Annotations[replacesName]}
	for _, d := range l.entries {
		parents[d.Digest] = d.Annotations[replacesName]
	}
	held := map[string]bool{tip: true}
	for queue := []string{tip}; len(queue) > 0; queue = queue[1:] {
		for parent := range strings.SplitSeq(parents[queue[0]], ",") {
			if !held[parent] {
				held[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	var out []string
	for _, d := range l.entries {
		if d.isVersion() && !held[d.Digest] {
			out = append(out, d.Digest)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// versions reads layers of versions, byte for byte. A version that is not
// there any more, or is none, has none.
func (v *View) versions(ctx context.Context, digests []string) (items []descriptor, err error) {
	if len(digests) > MaxCandidates {
		digests = digests[len(digests)-MaxCandidates:]
	}
	for _, digest := range digests {
		body, presence, err := v.client.byDigest(ctx, v.client.store(v.subject), digest)
		if err != nil {
			return nil, err
		}
		if presence == Absent {
			continue
		}
		items = append(items, signatureLayers(v.subject, Manifest{digest, image.OCIManifest, body})...)
	}
	return items, nil
}

// signatureLayers returns the signatures in a version of the tag of s.
func signatureLayers(s image.Subject, raw Manifest) (items []descriptor) {
	m, err := parseSignatures(s, raw.Digest, raw)
	if err != nil || m.Subject == nil || m.Subject.Digest != s.Digest {
		return nil
	}
	all, err := parseMembers(raw.Body)
	if err != nil {
		return nil
	}
	list, err := all.list("layers")
	for i, d := range m.Layers {
		if err == nil && d.MediaType == simplesigning.MediaType {
			d.verbatim = list[i]
			items = append(items, d)
		}
	}
	return items
}

// mergeVersions writes what listed versions have and the tag has not, and
// reports whether that was nothing.
func (c *Client) mergeVersions(ctx context.Context, v *View, l merged) (done bool, err error) {
	heads, err := v.heads(ctx)
	if err != nil {
		return false, err
	}
	others, err := v.versions(ctx, heads)
	if err != nil {
		return false, err
	}
	l.items = append(slices.Clone(l.items), others...)
	old, err := v.tag(ctx, l.tag)
	if err != nil {
		return false, err
	}
	m, added, err := l.extend(v.subject, old)
	if err != nil || !added {
		return !added, err
	}
	if n, err := m.descriptors(l.name); err != nil || len(n) > maxLayers {
		return false, fault.Undecidedf("limit_exceeded", "delete signatures that are not needed", "%s would get %d signatures at its %s, and readers stop at %d", v.subject, len(n), StoreSignatureTag, maxLayers)
	}
	config, err := completeLayers(m, v.subject, old, true, heads)
	if err != nil {
		return false, err
	}
	if err := c.putBlobs(ctx, c.store(v.subject), config); err != nil {
		return false, err
	}
	return false, c.write(ctx, v.subject, l, old, m)
}
