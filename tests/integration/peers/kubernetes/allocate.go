package main

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubernetes/pkg/apis/core"
)

// The server keeps the first address of a Service in both of its fields.
func normalize(each runtime.Object) {
	if it, ok := each.(*core.Service); ok && it.Spec.ClusterIP != "" && len(it.Spec.ClusterIPs) == 0 {
		it.Spec.ClusterIPs = []string{it.Spec.ClusterIP}
	}
}

// What the server gives a Service at its creation and a client leaves alone: its addresses.
func allocate(was, is runtime.Object) {
	old, ok := was.(*core.Service)
	now, same := is.(*core.Service)
	if !ok || !same {
		return
	}
	if old.Spec.ClusterIP == "" {
		old.Spec.ClusterIP, old.Spec.ClusterIPs = "10.0.0.1", []string{"10.0.0.1"}
	}
	if now.Spec.ClusterIP == "" {
		now.Spec.ClusterIP, now.Spec.ClusterIPs = old.Spec.ClusterIP, old.Spec.ClusterIPs
	}
}
