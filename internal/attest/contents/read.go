package contents

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/retry"
)

// Read reads an image from its manifest on: every layer, whole, a few at a time,
// against its digest and its diff ID; with files also what they hold. The manifest
// is believed.
//
// The refusals are "contents_not_an_image" for what has no layers of files,
// "contents_layer_unsupported" for a layer that is elsewhere, encrypted or of an
// unknown type, and "contents_layer_invalid" for one that is not what the manifest
// or the config says, hostile, or ambiguous. Too large an image is undecided
// ("limit_exceeded"). Others are those of src; after a transient one a layer is
// read again, from its beginning.
func Read(ctx context.Context, src Source, manifest []byte, files bool) (Contents, error) {
	c, err := open(ctx, src, manifest)
	if err != nil {
		return Contents{}, err
	}
	all := make([]changes, len(c.Layers))
	b := newBudget()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(4, max(2, runtime.GOMAXPROCS(0))))
	for i, l := range c.Layers {
		g.Go(func() error {
			return again(ctx, "reading "+l.Digest, func(ctx context.Context) (err error) {
				all[i], err = readLayer(ctx, src, l, files, b)
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		return Contents{}, err
	}
	if files {
		c.Files, c.List, err = merge(c.Layers, all)
	}
	return c, err
}

// again begins a transfer anew when it breaks off.
func again(ctx context.Context, what string, f func(context.Context) error) error {
	return retry.Policy{Attempts: 3, Base: 300 * time.Millisecond}.Do(ctx, what, f)
}

// merge makes one file system of the layers.
func merge(layers []Layer, all []changes) (*Files, []byte, error) {
	var t tree
	for i := range all {
		if err := t.apply(i, all[i]); err != nil {
			return nil, nil, badLayer(layers[i], err)
		}
		all[i] = changes{} // what is not in the tree now is of no use
	}
	return newFiles(t.entries())
}
