"""Names of kernel types for annotations. A kernel is traced, not compiled: they document and check nothing."""

from __future__ import annotations


class KernelType:
    """A type name; calling it gives a type with parameters, `TList(TInt32)`."""

    def __init__(self, name: str, parameters: tuple[KernelType, ...] = ()):
        self.name = name
        self.parameters = parameters

    def __call__(self, *parameters: KernelType) -> KernelType:
        return KernelType(self.name, parameters)

    def __repr__(self) -> str:
        return self.name + (f"({', '.join(map(repr, self.parameters))})" if self.parameters else "")


TNone, TBool, TInt32, TInt64, TFloat, TStr, TBytes, TByteArray, TList, TArray, TTuple, TRange32, TRange64, TVar = (
    KernelType(name) for name in ("TNone", "TBool", "TInt32", "TInt64", "TFloat", "TStr", "TBytes", "TByteArray",
                                  "TList", "TArray", "TTuple", "TRange32", "TRange64", "TVar"))

__all__ = ["TArray", "TBool", "TByteArray", "TBytes", "TFloat", "TInt32", "TInt64", "TList", "TNone", "TRange32",
           "TRange64", "TStr", "TTuple", "TVar"]
