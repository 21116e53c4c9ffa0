package cli

import (
	"context"
	"slices"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry"
)

// view returns what the registry lists for a manifest, as it was when the run
// first asked.
func (r *run) view(s image.Subject) *registry.View {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.views[r.stored(s)]
	if v == nil {
		v = r.registry.View(s)
		r.views[r.stored(s)] = v
	}
	return v
}

// forget drops a view that nobody needs any more: it holds what was read.
func (r *run) forget(s image.Subject) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.views, r.stored(s))
}

// stored names the place of a manifest's signatures.
func (r *run) stored(s image.Subject) string {
	if r.StoreIn != "" {
		s.Repository = r.StoreIn
	}
	return s.String()
}

// readAhead begins to read the lists of an image while its manifest is on its
// way; that takes no longer than one of the two. The result waits for it, or
// ends it when there is no image.
func (r *run) readAhead(ctx context.Context, img image.Image) (stop func(error)) {
	if img.Digest == "" {
		return func(error) {}
	}
	formats := firstStore(r.Formats)
	if doneOutput[r.report.Command] != "" {
		formats = r.written()
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	v := r.view(image.Subject{Repository: img.Repository, Digest: img.Digest})
	go func() { // owned by the caller, who waits for done
		defer close(done)
		v.Read(ctx, formats...)
	}()
	return func(err error) {
		if err != nil {
			cancel()
		}
		<-done
		cancel()
	}
}

// firstStore returns the format whose store a gate reads first.
func firstStore(formats []envelope.Format) []envelope.Format {
	if slices.Contains(formats, envelope.SimpleSigning) {
		return []envelope.Format{envelope.SimpleSigning}
	}
	return formats
}
