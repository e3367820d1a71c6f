//! Finds the registers that the gateware's build generated and makes the linker's memory map from them.

use std::{env, fs, path::PathBuf, process};

use corelog_periph::crc::Crc;

/// Bytes at the end of RAM that keep their contents over a reset and over a change of the firmware.
const RETAINED: u64 = 1 << 20;

/// Parts that not every board has, and a name in csr.rs that tells.
const PARTS: [(&str, &str); 17] = [
    ("has_kasli", "BOARD_KASLI"),
    ("has_kc705", "BOARD_KC705"),
    ("has_store", "STORAGE_ADDRESS_ADDR"),
    ("has_flash", "SPIFLASH_CORE_MASTER_RXTX_ADDR"),
    ("has_i2c", "I2C_W_ADDR"),
    ("has_clock_switch", "CRG_CLOCK_SEL_ADDR"),
    ("has_recovered_clock", "RECOVERED_SELECT_ADDR"),
    ("has_si5324_reset", "SI5324_RST_N_OUT_ADDR"),
    ("has_reload", "ICAP_RELOAD_ADDR"),
    ("has_error_led", "ERROR_LED_OUT_ADDR"),
    ("has_sfp_up", "SFP_UP_IN_ADDR"),
    ("has_ethernet", "ETHMAC_INTERRUPT"),
    ("has_rtio_cpu", "RTIO_TARGET_ADDR"),
    ("has_ports", "DRTIO_N_RX_UP_ADDR"),
    ("has_credits", "DRTIO_N_SPACE_ADDR"),
    ("has_routing", "DRTIO_ROUTING_HOP_ADDR"),
    ("has_uplink", "DRTIOSAT_RX_UP_ADDR"),
];

fn main() {
    println!("cargo:rerun-if-env-changed=CORELOG_GENERATED");
    println!("cargo:rerun-if-changed=link.x");
    let Ok(generated) = env::var("CORELOG_GENERATED") else {
        fail("CORELOG_GENERATED is not set: build the firmware with `make` or `corelog board`, which generate csr.rs");
    };
    let csr_path = PathBuf::from(generated).join("csr.rs");
    println!("cargo:rerun-if-changed={}", csr_path.display());
    let csr = match fs::read_to_string(&csr_path) {
        Ok(csr) => csr,
        Err(error) => fail(&format!("cannot read {}: {error}", csr_path.display())),
    };
    println!("cargo:rustc-env=CORELOG_CSR={}", csr_path.display());
    // By which gateware and firmware tell that they belong together: the bitstream has it as its UserID.
    let mut registers = Crc::default();
    registers.update(csr.as_bytes());
    println!("cargo:rustc-env=CORELOG_REGISTERS={:08x}", registers.value());
    for (flag, name) in PARTS {
        println!("cargo:rustc-check-cfg=cfg({flag})");
        if csr.contains(&format!("pub const {name}:")) {
            println!("cargo:rustc-cfg={flag}");
        }
    }

    let (base, size) = (constant(&csr, "MAIN_RAM_BASE"), constant(&csr, "MAIN_RAM_SIZE"));
    let ram = size.saturating_sub(RETAINED);
    let memory = format!(
        "MEMORY {{\n  RAM : ORIGIN = {base:#x}, LENGTH = {ram:#x}\n  \
         RETAINED : ORIGIN = {:#x}, LENGTH = {RETAINED:#x}\n}}\n",
        base + ram
    );
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("memory.x"), memory).expect("OUT_DIR can be written");
    fs::copy("link.x", out.join("link.x")).expect("OUT_DIR can be written");
    println!("cargo:rustc-link-search={}", out.display());
}

/// The value of `pub const NAME: type = value;` in the generated file.
fn constant(csr: &str, name: &str) -> u64 {
    let start = format!("pub const {name}:");
    let value = csr.lines().find_map(|line| {
        let (_, value) = line.trim().strip_prefix(start.as_str())?.split_once('=')?;
        let value = value.trim().trim_end_matches(';').replace('_', "");
        match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => value.parse().ok(),
        }
    });
    value.unwrap_or_else(|| fail(&format!("csr.rs has no constant {name}")))
}

fn fail(reason: &str) -> ! {
    eprintln!("corelog-board: {reason}");
    process::exit(1)
}
