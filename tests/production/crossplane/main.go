// A controller in the shape of Crossplane: claim → composite → managed resources, with finalizers and conditions.
//
// All that it knows of the API server is in KUBECONFIG, read as any program on client-go reads it. It says each token
// that it shows by a number, and each refusal.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	group    = "shop.example.org"
	bound    = "finalizer.apiextensions.crossplane.io"
	managed  = "finalizer.managedresource.crossplane.io"
	interval = time.Second
)

var (
	claims     = schema.GroupVersionResource{Group: group, Version: "v1", Resource: "stores"}
	composites = schema.GroupVersionResource{Group: group, Version: "v1", Resource: "xstores"}
	buckets    = schema.GroupVersionResource{Group: "s3.aws.upbound.io", Version: "v1beta1", Resource: "buckets"}
)

type object = unstructured.Unstructured

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		fmt.Println("no way to the API server:", err)
		os.Exit(1)
	}
	seen := &tokens{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &watched{next, seen} })
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		fmt.Println("no client:", err)
		os.Exit(1)
	}
	last := ""
	for ctx.Err() == nil {
		told := ""
		if err := (&controller{client}).look(ctx); err != nil {
			told = err.Error()
		}
		// Once for each change: an API server that is away would fill the log.
		if told != last && ctx.Err() == nil {
			fmt.Println("look:", map[bool]string{true: "ok", false: told}[told == ""])
		}
		last = told
		select {
		case <-ctx.Done():
		case <-time.After(interval):
		}
	}
	fmt.Println("ended")
}

type controller struct{ client dynamic.Interface }

func (c *controller) look(ctx context.Context) error {
	return errors.Join(
		c.each(ctx, claims, c.claim), c.each(ctx, composites, c.composite), c.each(ctx, buckets, c.bucket),
	)
}

func (c *controller) each(ctx context.Context, kind schema.GroupVersionResource, do func(context.Context, *object) error) error {
	found, err := c.client.Resource(kind).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var failed []error
	for number := range found.Items {
		err := do(ctx, &found.Items[number])
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// A claim has one composite, which bears its name and labels.
func (c *controller) claim(ctx context.Context, claim *object) error {
	name := claim.GetNamespace() + "-" + claim.GetName()
	if claim.GetDeletionTimestamp() != nil {
		err := c.client.Resource(composites).Delete(ctx, name, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return c.release(ctx, claims, claim, bound)
		}
		return err
	}
	if done, err := c.hold(ctx, claims, claim, bound); done || err != nil {
		return err
	}
	count, _, _ := unstructured.NestedInt64(claim.Object, "spec", "count")
	made := c.made(group+"/v1", "XStore", name, map[string]string{
		"crossplane.io/claim-name": claim.GetName(), "crossplane.io/claim-namespace": claim.GetNamespace(),
	}, map[string]any{
		"count":          count,
		"compositionRef": map[string]any{"name": "stores"},
		"claimRef":       map[string]any{"name": claim.GetName(), "namespace": claim.GetNamespace()},
	})
	_, err := c.client.Resource(composites).Create(ctx, made, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return c.ready(ctx, claims, claim)
}

// A composite has as many buckets as it counts; each is its own, as Crossplane's owners and labels say.
func (c *controller) composite(ctx context.Context, composite *object) error {
	if composite.GetDeletionTimestamp() != nil {
		left, err := c.parts(ctx, composite)
		if err != nil {
			return err
		}
		for _, name := range left {
			err := c.client.Resource(buckets).Delete(ctx, name, metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		}
		if len(left) == 0 {
			return c.release(ctx, composites, composite, bound)
		}
		return nil
	}
	if done, err := c.hold(ctx, composites, composite, bound); done || err != nil {
		return err
	}
	labels := map[string]string{"crossplane.io/composite": composite.GetName()}
	for _, key := range []string{"crossplane.io/claim-name", "crossplane.io/claim-namespace"} {
		labels[key] = composite.GetLabels()[key]
	}
	count, _, _ := unstructured.NestedInt64(composite.Object, "spec", "count")
	for number := range count {
		name := fmt.Sprintf("%s-%d", composite.GetName(), number)
		made := c.made("s3.aws.upbound.io/v1beta1", "Bucket", name, labels, map[string]any{})
		yes := true
		made.SetOwnerReferences([]metav1.OwnerReference{{
			APIVersion: composite.GetAPIVersion(), Kind: composite.GetKind(), Name: composite.GetName(),
			UID: composite.GetUID(), Controller: &yes, BlockOwnerDeletion: &yes,
		}})
		_, err := c.client.Resource(buckets).Create(ctx, made, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return c.ready(ctx, composites, composite)
}

// What a provider does: hold it until its other end is gone, which is at once here.
func (c *controller) bucket(ctx context.Context, bucket *object) error {
	if bucket.GetDeletionTimestamp() != nil {
		return c.release(ctx, buckets, bucket, managed)
	}
	if done, err := c.hold(ctx, buckets, bucket, managed); done || err != nil {
		return err
	}
	return c.ready(ctx, buckets, bucket)
}

func (c *controller) parts(ctx context.Context, composite *object) ([]string, error) {
	selector := "crossplane.io/composite=" + composite.GetName()
	found, err := c.client.Resource(buckets).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(found.Items))
	for _, each := range found.Items {
		names = append(names, each.GetName())
	}
	return names, nil
}

func (c *controller) made(version, kind, name string, labels map[string]string, spec map[string]any) *object {
	made := &object{Object: map[string]any{"apiVersion": version, "kind": kind, "spec": spec}}
	made.SetName(name)
	made.SetLabels(labels)
	return made
}

// Whether the finalizer had to be set: the next look goes on with what came of it.
func (c *controller) hold(ctx context.Context, kind schema.GroupVersionResource, one *object, finalizer string) (bool, error) {
	if slices.Contains(one.GetFinalizers(), finalizer) {
		return false, nil
	}
	one.SetFinalizers(append(one.GetFinalizers(), finalizer))
	_, err := c.client.Resource(kind).Namespace(one.GetNamespace()).Update(ctx, one, metav1.UpdateOptions{})
	return true, err
}

func (c *controller) release(ctx context.Context, kind schema.GroupVersionResource, one *object, finalizer string) error {
	one.SetFinalizers(slices.DeleteFunc(one.GetFinalizers(), func(each string) bool { return each == finalizer }))
	_, err := c.client.Resource(kind).Namespace(one.GetNamespace()).Update(ctx, one, metav1.UpdateOptions{})
	return err
}

func (c *controller) ready(ctx context.Context, kind schema.GroupVersionResource, one *object) error {
	if known, _, _ := unstructured.NestedSlice(one.Object, "status", "conditions"); len(known) > 0 {
		return nil
	}
	now := time.Now().UTC().Format(time.RFC3339)
	conditions := []any{}
	for _, each := range []string{"Ready", "Synced"} {
		conditions = append(conditions, map[string]any{
			"type": each, "status": "True", "reason": "Available", "lastTransitionTime": now,
		})
	}
	if err := unstructured.SetNestedSlice(one.Object, conditions, "status", "conditions"); err != nil {
		return err
	}
	_, err := c.client.Resource(kind).Namespace(one.GetNamespace()).UpdateStatus(ctx, one, metav1.UpdateOptions{})
	return err
}

// Which token is shown, by a number: never the token, nor anything made of it.
type tokens struct {
	mutex sync.Mutex
	shown []string
}

type watched struct {
	next http.RoundTripper
	seen *tokens
}

func (w *watched) RoundTrip(request *http.Request) (*http.Response, error) {
	w.seen.mutex.Lock()
	if given := request.Header.Get("Authorization"); !slices.Contains(w.seen.shown, given) {
		w.seen.shown = append(w.seen.shown, given)
		fmt.Println("token", len(w.seen.shown))
	}
	w.seen.mutex.Unlock()
	return w.next.RoundTrip(request)
}
