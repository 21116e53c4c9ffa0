package registry

import (
	"context"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"

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
	if err := m.set("artifactType", signaturesType); err != nil {
		return err
	}
	var annotations map[string]jsontext.Value
	if m["annotations"] != nil {
		if err := json.Unmarshal(m["annotations"], &annotations); err != nil {
			return err
		}
	}
	if annotations == nil {
		annotations = map[string]jsontext.Value{}
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
// Registries that do not know a referrer's artifact type leave it out or
// repeat the type of its config.
func (d descriptor) isVersion() bool {
	return d.MediaType == image.OCIManifest && slices.Contains([]string{signaturesType, configMediaType, ""}, d.ArtifactType)
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
	parents := map[string]string{}
	for _, d := range l.entries {
		parents[d.Digest] = d.Annotations[replacesName]
	}
	parents[tip] = m.Annotations[replacesName]
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

// Behind reports whether the signature tag lacks versions that are listed, as
// far as both were read already: a writer was cut short before it could merge
// them. Attach and Confirm do that, also without attachments.
func (v *View) Behind(ctx context.Context) bool {
	_, tagged := v.tags.Get(SignatureTag(v.subject.Digest))
	l, listed := v.referrers.Get(struct{}{})
	if !tagged || !listed || l.support != supported {
		return false
	}
	heads, err := v.heads(ctx)
	return err == nil && len(heads) > 0
}

// overwritten is what listed versions have that the tag lacks.
type overwritten struct {
	layers []descriptor // byte for byte
	from   []string     // the versions that were read
	absent bool         // a version is listed and not there, or not yet
}

// overwritten reads the versions that the tag lacks.
func (v *View) overwritten(ctx context.Context) (out overwritten, err error) {
	heads, err := v.heads(ctx)
	if err != nil {
		return out, err
	}
	versions := make([]tagged, len(heads))
	var g errgroup.Group
	g.SetLimit(maxInFlight / 4)
	for i, digest := range heads {
		g.Go(func() (err error) {
			versions[i].Digest, versions[i].MediaType = digest, image.OCIManifest
			versions[i].Body, versions[i].presence, err = v.client.byDigest(ctx, v.client.store(v.subject), digest, MaxManifest)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return out, err
	}
	for _, t := range versions {
		if t.presence == Absent {
			out.absent = true
			continue
		}
		out.from = append(out.from, t.Digest)
		out.layers = append(out.layers, v.layersOf(t.Manifest)...)
		if len(out.layers) > maxLayers {
			return out, fault.Undecidedf("limit_exceeded", "delete versions of its signature tag that are not needed", "the versions of the signature tag of %s have more than %d signatures", v.subject, maxLayers)
		}
	}
	return out, nil
}

// layersOf returns the layers of a version, and none of what is no version.
func (v *View) layersOf(raw Manifest) (items []descriptor) {
	m, err := parseSignatures(v.client.store(v.subject), raw.Digest, raw)
	if err != nil || m.Subject == nil || m.Subject.Digest != v.subject.Digest {
		return nil
	}
	all, err := parseMembers(raw.Body)
	if err != nil {
		return nil
	}
	list, err := all.list("layers")
	if err != nil {
		return nil
	}
	for i, d := range m.Layers {
		d.verbatim = list[i]
		items = append(items, d)
	}
	return items
}
