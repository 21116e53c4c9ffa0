package registry

import (
	"context"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// Where the registry serves the referrers API, each version of one of cosign's
// tags is a referrer. A version that is replaced stays listed, so whoever writes
// can see after his write which versions the tag does not hold: he lists after
// he has written, so of two writers at least the later one sees both. Each
// version names those that it has merged, which makes them a history like that
// of a version control system, and spares the reading of what is in it.

// maxLayers is where cosign stops to read one of its tags.
const maxLayers = 1000

// setVersion makes m a referrer of s that replaces old and merges others.
func (m members) setVersion(k cosignTag, s image.Subject, old tagged, merges []string) error {
	if err := m.set("subject", subjectOf(s)); err != nil {
		return err
	}
	if err := m.set("artifactType", k.artifactType); err != nil {
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
	if mark := k.mark(); mark != "" {
		annotations[formatName] = jsontext.Value(`"` + mark + `"`)
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

// heads returns the listed versions that neither are at the tag nor in the
// history of what is there, sorted.
func (v *View) heads(ctx context.Context, k cosignTag) ([]string, error) {
	l := v.listing(ctx)
	if l.err != nil {
		return nil, &StoreError{StoreReferrers, l.err}
	}
	m, tip, err := v.at(ctx, k)
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
		if k.hasVersion(d) && !held[d.Digest] {
			out = append(out, d.Digest)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Behind reports whether cosign's tag for a format lacks versions that are listed,
// as far as both were read already: a writer was cut short before it could merge
// them. Attach and Confirm do that, also without attachments.
func (v *View) Behind(ctx context.Context, f envelope.Format) bool {
	k, ok := cosignTagOf(f)
	return ok && v.behind(ctx, k)
}

func (v *View) behind(ctx context.Context, k cosignTag) bool {
	_, tagged := v.tags.Get(k.of(v.subject.Digest))
	l, listed := v.referrers.Get(struct{}{})
	if !tagged || !listed || l.support != supported {
		return false
	}
	heads, err := v.heads(ctx, k)
	return err == nil && len(heads) > 0
}

// overwritten is what listed versions have that the tag lacks.
type overwritten struct {
	layers []descriptor // byte for byte
	from   []string     // the versions that were read
	absent bool         // a version is listed and not there, or not yet
}

// overwritten reads the versions that the tag lacks.
func (v *View) overwritten(ctx context.Context, k cosignTag) (out overwritten, err error) {
	heads, err := v.heads(ctx, k)
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
		out.layers = append(out.layers, v.layersOf(k, t.Manifest)...)
		if len(out.layers) > maxLayers {
			return out, fault.Undecidedf("limit_exceeded", "delete versions of its "+k.store+" that are not needed", "the versions of the %s of %s have more than %d entries", k.store, v.subject, maxLayers)
		}
	}
	return out, nil
}

// layersOf returns the layers of a version, and none of what is no version of the
// tag.
func (v *View) layersOf(k cosignTag, raw Manifest) (items []descriptor) {
	m, err := parseSignatures(v.client.store(v.subject), raw.Digest, raw)
	if err != nil || m.Subject == nil || m.Subject.Digest != v.subject.Digest || !k.hasVersion(descriptor{MediaType: image.OCIManifest, ArtifactType: m.ArtifactType, Annotations: m.Annotations}) {
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
