package org.edgepress.demo

import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import org.edgepress.core.Device
import java.io.File
import java.io.IOException

/** How the phone is: what decides how fast it runs. The names are those of device_bench's own look at it. */
internal class PhoneDevice(private val context: Context) : Device {
    private val power = context.getSystemService(Context.POWER_SERVICE) as PowerManager

    override fun thermalStatus(): Int? = if (Build.VERSION.SDK_INT >= ANDROID_10) power.currentThermalStatus else null

    override fun state(): Map<String, Any?> {
        val battery = context.registerReceiver(null, IntentFilter(Intent.ACTION_BATTERY_CHANGED))
        return mapOf(
            "battery_percent" to battery?.number(BatteryManager.EXTRA_LEVEL),
            "battery_c" to battery?.number(BatteryManager.EXTRA_TEMPERATURE)?.let { it / TENTHS },
            "charging" to battery?.number(BatteryManager.EXTRA_PLUGGED)?.let { it != 0 },
            "thermal_status" to thermalStatus(),
            "frequencies" to frequencies(),
        )
    }

    private fun Intent.number(name: String): Int? = getIntExtra(name, UNKNOWN).takeIf { it != UNKNOWN }

    /** Core -> governor and frequencies [kHz]; empty where the phone keeps them from apps. */
    private fun frequencies(): Map<String, Map<String, String>> = File("/sys/devices/system/cpu")
        .list { _, name -> CORE.matches(name) }.orEmpty().sorted()
        .associateWith { core -> frequencies(File("/sys/devices/system/cpu/$core/cpufreq")) }
        .filterValues { it.isNotEmpty() }

    private fun frequencies(core: File): Map<String, String> =
        FREQUENCIES.mapNotNull { name -> readOrNull(File(core, "scaling_$name"))?.let { name to it } }.toMap()

    private fun readOrNull(file: File): String? = try {
        file.readText().trim()
    } catch (_: IOException) {
        null
    }

    internal companion object {
        private const val ANDROID_10 = 29
        private const val UNKNOWN = -1
        private const val TENTHS = 10.0
        private val CORE = Regex("cpu[0-9]+")
        private val FREQUENCIES = listOf("governor", "cur_freq", "min_freq", "max_freq")

        /** The phone's kind; nothing that tells one phone of a kind from another. */
        fun description(): Map<String, Any?> = mapOf(
            "phone" to "${Build.MANUFACTURER} ${Build.MODEL}",
            "board" to Build.BOARD,
            "abi" to Build.SUPPORTED_ABIS.firstOrNull(),
            "system" to "Android ${Build.VERSION.RELEASE} (API ${Build.VERSION.SDK_INT})",
            "cores" to Runtime.getRuntime().availableProcessors(),
        )
    }
}
