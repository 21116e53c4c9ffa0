package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/audit"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/signer"
)

// work is one signature that has to be there.
type work struct {
	format envelope.Format
	claims envelope.Claims
	key    *signer.Signer
}

// payloads returns the tags of each payload of a format: a bundle carries all,
// simple signing has room for one.
func payloads(f envelope.Format, tags []string) [][]string {
	if f == envelope.Bundle || len(tags) == 0 {
		return [][]string{tags}
	}
	var out [][]string
	for _, t := range tags {
		out = append(out, []string{t})
	}
	return out
}

func (r *run) claims(s image.Subject, tags []string, key *signer.Signer) envelope.Claims {
	c := envelope.Claims{
		Version: envelope.ClaimsVersion, Repository: s.Repository, Tags: tags,
		IssuedAt: r.now.UTC().Truncate(time.Second), Sequence: r.Sequence,
		Key: &envelope.KeyClaim{ID: key.ID(), Fingerprint: key.Fingerprint()},
	}
	if c.Sequence == 0 {
		c.Sequence = r.now.UnixMilli()
	}
	if r.Expires > 0 {
		c.ExpiresAt = c.IssuedAt.Add(r.Expires)
	}
	if run := r.workflowRun(); run != (envelope.Run{}) {
		c.Run = &run
	}
	return c
}

func (r *run) workflowRun() envelope.Run {
	run := r.runner.Run()
	return envelope.Run{
		Server: run.ServerURL, Repository: run.Repository, RepositoryID: run.RepositoryID, RepositoryOwnerID: run.RepositoryOwnerID,
		WorkflowRef: run.WorkflowRef, WorkflowSHA: run.WorkflowSHA, SHA: run.SHA, Ref: run.Ref, Event: run.EventName,
		RunID: run.RunID, RunAttempt: run.RunAttempt, RunnerEnvironment: run.RunnerEnvironment,
	}
}

// signing bounds the signatures of one manifest that are made at a time.
const signing = 8

// makeAll signs what a plan says and adds the envelopes to it, in the order of the
// work.
func (r *run) makeAll(ctx context.Context, p *plan, s image.Subject) error {
	made := make([]envelope.Attachment, len(p.todo))
	requests := make([]string, len(p.todo))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(signing)
	for i, w := range p.todo {
		g.Go(func() (err error) {
			made[i], requests[i], err = r.makeOne(ctx, s, w)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, a := range made {
		p.blobs[image.DigestOf(a.Blob)] = true
	}
	p.signatures, p.signed = made, len(made)
	p.requestIDs = slices.DeleteFunc(requests, func(id string) bool { return id == "" })
	return nil
}

// makeOne signs one payload and returns its envelope, and the backend's name
// for the request.
func (r *run) makeOne(ctx context.Context, s image.Subject, w work) (a envelope.Attachment, requestID string, err error) {
	alg, err := signer.Usual(w.key.Public())
	if err != nil {
		return a, "", err
	}
	var body, message []byte
	if w.format == envelope.SimpleSigning {
		body, err = simplesigning.Payload(s, strings.Join(w.claims.Tags, ""), w.claims, r.Annotations)
		message = body
	} else {
		body, err = attest.Signature(s, w.claims, r.Annotations)
		message = dsse.ToSign(body)
	}
	if err != nil {
		return a, "", err
	}
	sig, err := w.key.Sign(ctx, alg, message)
	if err != nil {
		return a, "", err
	}
	a, err = seal(w.format, body, sig.Bytes, w.key.Fingerprint())
	r.noteMade(audit.Signature, "", s, w.claims.Tags, w.key, a, sig.RequestID)
	return a, sig.RequestID, err
}

func seal(f envelope.Format, body, sig []byte, fingerprint string) (envelope.Attachment, error) {
	if f == envelope.SimpleSigning {
		return simplesigning.Seal(body, sig, fingerprint), nil
	}
	return bundle.Seal(body, sig, envelope.SignaturePredicate, fingerprint)
}
