//lint:file-ignore SA1019 inner drivers may have only the old interfaces

package nimue

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
)

// The handle's own CheckNamedValue accepts every argument, because database/sql
// asks it before there is a lease, and the inner driver's checkers may depend on
// the connection. Once the lease is there, convertArgs does what database/sql
// would have done with the inner connection and statement themselves: the same
// checkers in the same order, with the same error texts.

// convertArgs converts args in place for an operation on inner, through the
// prepared statement s if there is one. It returns the shorter slice where a
// checker removed arguments.
func convertArgs(inner driver.Conn, s driver.Stmt, args []driver.NamedValue) ([]driver.NamedValue, error) {
	want := -1
	var byColumn driver.ColumnConverter
	if s != nil {
		want = s.NumInput()
		byColumn, _ = s.(driver.ColumnConverter)
	}
	checker, ok := s.(driver.NamedValueChecker)
	if !ok {
		checker, _ = inner.(driver.NamedValueChecker)
	}
	n := 0
	for i := range args {
		nv := &args[n]
		*nv = args[i]
		nv.Ordinal = n + 1
		err := convertArg(nv, checker, byColumn, want)
		if err == driver.ErrRemoveArgument {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("sql: converting argument %s type: %w", describeArg(nv), err)
		}
		n++
	}
	args = args[:n]
	if want != -1 && n != want {
		return nil, fmt.Errorf("sql: expected %d arguments, got %d", want, n)
	}
	return args, nil
}

// convertArg asks the checker, then the column's converter, then the default
// one: each may pass the argument on with ErrSkip.
func convertArg(nv *driver.NamedValue, checker driver.NamedValueChecker, byColumn driver.ColumnConverter, want int) error {
	if checker != nil {
		if err := checker.CheckNamedValue(nv); err != driver.ErrSkip {
			return err
		}
	}
	if byColumn != nil {
		if err := convertByColumn(nv, byColumn, want); err != driver.ErrSkip {
			return err
		}
	}
	var err error
	nv.Value, err = driver.DefaultParameterConverter.ConvertValue(nv.Value)
	return err
}

// convertByColumn lets the value convert itself first and the column then.
func convertByColumn(nv *driver.NamedValue, byColumn driver.ColumnConverter, want int) error {
	column := nv.Ordinal - 1
	if want >= 0 && column >= want {
		return nil // one too many: the count says so later
	}
	if valuer, ok := nv.Value.(driver.Valuer); ok {
		v, err := valueOf(valuer)
		if err != nil {
			return err
		}
		if !driver.IsValue(v) {
			return fmt.Errorf("non-subset type %T returned from Value", v)
		}
		nv.Value = v
	}
	given := nv.Value
	v, err := byColumn.ColumnConverter(column).ConvertValue(given)
	nv.Value = v
	if err != nil {
		return err
	}
	if !driver.IsValue(v) {
		return fmt.Errorf("driver ColumnConverter error converted %T to unsupported type %T", given, v)
	}
	return nil
}

// valueOf calls Value, except on a nil pointer whose Value method belongs to the
// type that it points at: that is NULL, not a panic.
func valueOf(v driver.Valuer) (driver.Value, error) {
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() &&
		rv.Type().Elem().Implements(reflect.TypeFor[driver.Valuer]()) {
		return nil, nil
	}
	return v.Value()
}

func describeArg(nv *driver.NamedValue) string {
	if nv.Name == "" {
		return fmt.Sprintf("$%d", nv.Ordinal)
	}
	return fmt.Sprintf("with name %q", nv.Name)
}

// positional gives an old driver, which knows no names, its arguments.
func positional(args []driver.NamedValue) ([]driver.Value, error) {
	values := make([]driver.Value, len(args))
	for i, nv := range args {
		if nv.Name != "" {
			return nil, errors.New("sql: driver does not support the use of Named Parameters")
		}
		values[i] = nv.Value
	}
	return values, nil
}

// named turns an old caller's arguments into those of today.
func named(values []driver.Value) []driver.NamedValue {
	args := make([]driver.NamedValue, len(values))
	for i, v := range values {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return args
}
