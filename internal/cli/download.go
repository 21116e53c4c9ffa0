package cli

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/report"
)

// downloaded is one envelope that was written to files.
type downloaded struct {
	Image     string          `json:"image"` // name@digest
	Type      string          `json:"type"`  // of the predicate
	Format    envelope.Format `json:"format"`
	Manifest  string          `json:"manifest"`
	Key       string          `json:"key,omitempty"`
	Verified  bool            `json:"verified"`
	Envelope  string          `json:"envelope"` // paths in the folder
	Statement string          `json:"statement,omitempty"`
	Predicate string          `json:"predicate,omitempty"`

	digest string // of the statement
}

func newDownload(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "download --output-dir DIR IMAGE…",
		Short: "Write the signatures and attestations of images to files: bundles, statements, SBOMs",
		Long: `Write what is attached to images to files: each envelope as it is stored, the
statement in it, and the predicate of an attestation, such as an SBOM, by itself.
The folder has to be new or empty. With --trusted-keys only what verifies is written; without, everything is, and
index.json says that nothing of it is verified.`,
		Example: "  signgate download --output-dir sbom --attestation spdxjson --trusted-keys release.pub ghcr.io/acme/app:1.4",
		Args:    cobra.MinimumNArgs(1),
	}
	return newReader(p, "download", cmd, (*run).download, (*run).printDownloaded)
}

func (r *run) printDownloaded(list []downloaded) error {
	var b strings.Builder
	for _, d := range list {
		path := d.Predicate
		if path == "" {
			path = d.Envelope
		}
		report.Line(&b, "%s: %s, %s%s", filepath.Join(r.get("output-dir"), path), d.Type, d.Format, verifiedNote(d.Verified))
	}
	_, err := fmt.Fprint(r.stdout(), b.String())
	return err
}

// download writes the envelopes of each image, and index.json, which lists them.
// Nothing to write is a refusal ("nothing_attached").
func (r *run) download(ctx context.Context) ([]downloaded, error) {
	if r.get("output-dir") == "" {
		return nil, fault.Configf("usage", "set output-dir to a new folder", "nothing says where the files are to be written")
	}
	if err := r.checkEmpty(); err != nil {
		return nil, err
	}
	types, err := predicateTypes(r.list("attestation"))
	if err != nil {
		return nil, err
	}
	trusted, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	lists := make([][]downloaded, len(r.report.Subjects))
	r.each(ctx, "download", func(ctx context.Context, s *report.Subject, i int) (err error) {
		lists[i], err = r.downloadOne(ctx, s.Subject, trusted, types)
		return err
	})
	if err := r.firstFailure(); err != nil {
		return nil, err
	}
	all := slices.Concat(lists...)
	if len(all) == 0 {
		return nil, fault.Refusedf("nothing_attached", "signgate inspect shows what is attached", "there is nothing to download: the images have nothing of this kind that verifies")
	}
	var index bytes.Buffer
	if err := report.WriteJSON(&index, all); err != nil {
		return nil, err
	}
	return all, r.writeFile("index.json", index.Bytes())
}

// predicateTypes returns the URIs of predicate types.
func predicateTypes(names []string) (out []string, err error) {
	for _, name := range names {
		uri, err := attest.Type(name)
		if err != nil {
			return nil, err
		}
		out = append(out, uri)
	}
	return out, nil
}

// openAbout returns what a candidate says of a subject: what a trusted key has
// signed, or without trusted keys what stands there.
func openAbout(c envelope.Candidate, trusted []envelope.Key, s image.Subject) (v envelope.Verified, verified bool, err error) {
	if len(trusted) == 0 {
		v, err = hearsay(c)
		return v, false, err
	}
	if v, err = gate.Open(c, trusted); err != nil {
		return v, false, err
	}
	if v.SubjectDigest != s.Digest && !slices.Contains(v.Subjects, s.Digest) {
		return v, false, fault.Refusedf("digest_mismatch", "", "it is about %s", v.SubjectDigest)
	}
	return v, true, nil
}

func (r *run) downloadOne(ctx context.Context, s image.Subject, trusted []envelope.Key, types []string) (out []downloaded, err error) {
	want := envelope.Want{Attestations: len(types) == 0, Predicates: types}
	for c, err := range r.view(s).Candidates(ctx, s, want) {
		if err != nil && fault.OutcomeOf(err) != fault.Refused {
			return nil, err
		}
		var v envelope.Verified
		verified := false
		if err == nil {
			v, verified, err = openAbout(c, trusted, s)
		}
		if err != nil && len(trusted) == 0 {
			r.warn("not downloaded: " + err.Error())
		}
		if err != nil || len(types) > 0 && !slices.Contains(types, v.PredicateType) {
			continue
		}
		d, err := r.save(s, v, out)
		if err != nil {
			return nil, err
		}
		d.Verified = verified
		out = append(out, d)
	}
	return out, nil
}
