import CInstructions

#if arch(arm64)
/// What Linux says of this CPU's instructions.
enum ArmFeatures {
    /// FEAT_BF16: BFMMLA and BFCVTN.
    static var hasBFloat16: Bool {
        // AT_HWCAP2 and HWCAP2_BF16 of <sys/auxv.h>, <asm/hwcap.h>.
        getauxval(26) & 1 << 14 != 0
    }
}
#endif
