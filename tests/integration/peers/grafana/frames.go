// What a data source gives along so that every type of ours has a place in Grafana's data frames.
package main

import (
	"encoding/json"
	"reflect"
	"regexp"

	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/data/sqlutil"
	"github.com/shopspring/decimal"
)

// converters for types that a frame does not know by itself, as a data source gives them along: NULL is a pointer's
// nil, structures become JSON, decimals floats.
func converters() []sqlutil.Converter {
	return []sqlutil.Converter{
		nullable[float64](`Float64`, data.FieldTypeNullableFloat64),
		nullable[int64](`Int64`, data.FieldTypeNullableInt64),
		nullable[uint64](`UInt64`, data.FieldTypeNullableUint64),
		nullable[string](`String`, data.FieldTypeNullableString),
		made[decimal.Decimal](`^Decimal`, data.FieldTypeFloat64, func(value decimal.Decimal) (any, error) {
			return value.InexactFloat64(), nil
		}),
		structure[map[string]string](`^Map\(String, String\)`),
		structure[[]map[string]string](`^Array\(Map\(String, String\)\)`),
		structure[[]int64](`^Array\(Int64\)`),
	}
}

func nullable[T any](name string, field data.FieldType) sqlutil.Converter {
	return sqlutil.Converter{
		Name:           "Nullable " + name,
		InputScanType:  reflect.TypeFor[**T](),
		InputTypeRegex: regexp.MustCompile(`^(LowCardinality\()?Nullable\(` + name),
		FrameConverter: sqlutil.FrameConverter{FieldType: field, ConverterFunc: func(in any) (any, error) {
			value := *in.(**T)
			if value == nil {
				return value, nil
			}
			copied := *value
			return &copied, nil
		}},
	}
}

func made[T any](pattern string, field data.FieldType, convert func(T) (any, error)) sqlutil.Converter {
	return sqlutil.Converter{
		Name:           pattern,
		InputScanType:  reflect.TypeFor[T](),
		InputTypeRegex: regexp.MustCompile(pattern),
		FrameConverter: sqlutil.FrameConverter{FieldType: field, ConverterFunc: func(in any) (any, error) {
			return convert(*in.(*T))
		}},
	}
}

func structure[T any](pattern string) sqlutil.Converter {
	return made(pattern, data.FieldTypeJSON, func(value T) (any, error) {
		text, err := json.Marshal(value)
		return json.RawMessage(text), err
	})
}
