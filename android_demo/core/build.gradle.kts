import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    alias(libs.plugins.kotlin.jvm)
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
}

kotlin {
    compilerOptions { jvmTarget = JvmTarget.JVM_1_8 }
}

dependencies {
    compileOnly(libs.onnxruntime.jvm) // whoever uses `core` brings the natives of its platform
    testImplementation(libs.onnxruntime.jvm)
    testImplementation(libs.junit)
}
