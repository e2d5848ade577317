// What the API server of the newest Kubernetes would say of manifests: unknown and doubled fields, defaults, validation, and
// what an update may not change. It is Kubernetes' own code, called without a server.
//
//	peer check FILE...              every object of every file, as if it were created
//	peer upgrade FILE FILE...       from each file to each other one: objects of the same kind and name, as updates
//
// Each fault is a line on standard output; the last line counts what was looked at.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	_ "k8s.io/kubernetes/pkg/apis/scheduling/install"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/autoscaling/horizontalpodautoscaler"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/networking/ingress"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
	"k8s.io/kubernetes/pkg/registry/rbac/role"
	"k8s.io/kubernetes/pkg/registry/scheduling/priorityclass"
)

type strategy interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
}

// Kinds whose code is not Kubernetes' own: decoded strictly where there are types, else by the tests' own rules.
var (
	strategies = map[string]strategy{
		"StatefulSet":             statefulset.Strategy,
		"Deployment":              deployment.Strategy,
		"HorizontalPodAutoscaler": horizontalpodautoscaler.Strategy,
		"CronJob":                 cronjob.Strategy,
		"Job":                     job.Strategy,
		"ConfigMap":               configmap.Strategy,
		"PersistentVolumeClaim":   persistentvolumeclaim.Strategy,
		"Pod":                     pod.Strategy,
		"Secret":                  secret.Strategy,
		"Service":                 service.Strategy,
		"ServiceAccount":          serviceaccount.Strategy,
		"Ingress":                 ingress.Strategy,
		"NetworkPolicy":           networkpolicy.Strategy,
		"PodDisruptionBudget":     poddisruptionbudget.Strategy,
		"Role":                    role.Strategy,
		"PriorityClass":           priorityclass.Strategy,
	}
	foreign = map[string]bool{"karpenter.sh/v1, Kind=NodePool": true}
)

type object struct {
	kind, name string
	hook       bool
	group      schema.GroupVersionKind
	internal   runtime.Object
}

func (it object) key() string { return it.group.GroupKind().String() + " " + it.name }

func main() {
	if err := monitoring.AddToScheme(legacyscheme.Scheme); err != nil {
		fail(err)
	}
	if len(os.Args) < 3 {
		fail(fmt.Errorf("check or upgrade, and files"))
	}
	faults, looked := 0, 0
	say := func(what string, problems ...error) {
		for _, problem := range problems {
			faults++
			fmt.Printf("%s: %v\n", what, problem)
		}
	}
	all := map[string][]object{}
	for _, file := range os.Args[2:] {
		objects, problems := read(file)
		say(filepath.Base(file), problems...)
		all[file] = objects
		for _, it := range objects {
			looked++
			if os.Args[1] == "check" {
				say(filepath.Base(file)+": "+it.key(), create(it)...)
			}
		}
	}
	if os.Args[1] == "upgrade" {
		looked = 0
		for _, from := range os.Args[2:] {
			for _, to := range os.Args[2:] {
				for _, old := range all[from] {
					for _, now := range all[to] {
						// Hooks are made anew.
						if from != to && old.key() == now.key() && !old.hook {
							looked++
							what := filepath.Base(from) + " -> " + filepath.Base(to) + ": " + now.key()
							say(what, update(old, now)...)
						}
					}
				}
			}
		}
	}
	fmt.Printf("%d objects, %d faults\n", looked, faults)
	if faults > 0 {
		os.Exit(1)
	}
}

// The objects of a file; each is decoded strictly and has its defaults.
func read(path string) ([]object, []error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, []error{err}
	}
	scheme := legacyscheme.Scheme
	options := json.SerializerOptions{Yaml: true, Strict: true}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, options)
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	var objects []object
	var problems []error
	for {
		document, err := documents.Read()
		if err != nil {
			break
		}
		if empty(document) {
			continue
		}
		versioned, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			if kind == nil || !foreign[kind.String()] {
				problems = append(problems, err)
			}
			continue
		}
		scheme.Default(versioned)
		accessor, err := meta.Accessor(versioned)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		_, hook := accessor.GetAnnotations()["helm.sh/hook"]
		it := object{kind: kind.Kind, name: accessor.GetName(), hook: hook, group: *kind, internal: versioned}
		if _, known := strategies[kind.Kind]; known {
			internal, err := scheme.UnsafeConvertToVersion(versioned, runtime.InternalGroupVersioner)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			it.internal = internal
		} else if kind.Group != "monitoring.coreos.com" {
			problems = append(problems, fmt.Errorf("nobody knows %v", kind))
		}
		objects = append(objects, it)
	}
	return objects, problems
}

func empty(document []byte) bool {
	for _, line := range strings.Split(string(document), "\n") {
		line = strings.TrimSpace(line)
		if line != "" && line != "---" && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}

func create(it object) []error {
	strategy, known := strategies[it.kind]
	if !known {
		return nil
	}
	if err := before(strategy, it, it.internal.DeepCopyObject()); err != nil {
		return []error{err}
	}
	return nil
}

func before(strategy strategy, it object, internal runtime.Object) error {
	accessor, err := meta.Accessor(internal)
	if err != nil {
		return err
	}
	rest.FillObjectMetaSystemFields(accessor)
	normalize(internal)
	return rest.BeforeCreate(strategy, contextOf(it), internal)
}

func update(old, now object) []error {
	strategy, known := strategies[now.kind]
	if !known {
		return nil
	}
	was, is := old.internal.DeepCopyObject(), now.internal.DeepCopyObject()
	if err := before(strategy, old, was); err != nil {
		return []error{err}
	}
	// The server would have given it a version, which an update repeats, and what it allocates.
	for _, each := range []runtime.Object{was, is} {
		if accessor, err := meta.Accessor(each); err == nil {
			accessor.SetResourceVersion("1")
		}
	}
	normalize(is)
	allocate(was, is)
	if err := rest.BeforeUpdate(strategy, contextOf(now), is, was); err != nil {
		return []error{err}
	}
	return nil
}

func contextOf(it object) context.Context {
	accessor, err := meta.Accessor(it.internal)
	if err != nil {
		fail(err)
	}
	info := &genericapirequest.RequestInfo{APIGroup: it.group.Group, APIVersion: it.group.Version, IsResourceRequest: true}
	ctx := genericapirequest.WithRequestInfo(context.Background(), info)
	return genericapirequest.WithNamespace(ctx, accessor.GetNamespace())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}
