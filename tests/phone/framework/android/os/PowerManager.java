package android.os;

import standin.Phone;

/** Heat. */
public class PowerManager {
    public int getCurrentThermalStatus() {
        return Phone.number("thermalservice", "Thermal Status");
    }
}
